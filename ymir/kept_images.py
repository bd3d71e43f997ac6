"""What people get of the images that mining keeps: masks of the regions to label, overlays, and the report."""

import os
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from mmseg.datasets.palette import generate_palette
from ymir.atomic import replacing
from ymir.journal.pool import JournalPool
from ymir.journal.superpixel_bytes import unpack_superpixels
from ymir.mining import Miner, RegionScores, Selection
from ymir.mining.pool_steps import count_classes
from ymir.monitor import Share
from ymir.params import MiningParameters
from ymir.picture_names import PictureNames
from ymir.prediction.job import Assembly
from ymir.prediction.ordered_work import ordered_map
from ymir.report.page import MiningReport, ReportRegion
from ymir.report.region_pictures import draw_overlay, encode_jpeg, window_labels
from ymir.task import OutputPaths

_THREADS = 4

# Hyper-parameters that say nothing about what was chosen.
_NOT_IN_THE_REPORT = {"shm_size", "workers_per_gpu", "samples_per_gpu", "max_image_pixels", "save_overlays"}


class _Drawn(NamedTuple):
    rank: int
    position: int  # in the index
    score: float
    chosen: RegionScores
    mask_file: str  # relative to the output folder, as the other
    overlay_file: Optional[str]
    overlay: Optional[np.ndarray]


class KeptImages:
    """Writes masks/NAME.png, overlays/NAME.jpg and mining-report.html.

    Args:
        assembly: the journal, the images and the model's classes.
        miner: that made the selection.
        selection: of the pool.
        positions: of the pool's images in the index.
        kind, superpixel_kind: of the records with the regions' scores and with the superpixels.
        parameters: of mining.
        output: where to write.
    """

    def __init__(
        self,
        assembly: Assembly,
        *,
        miner: Miner,
        selection: Selection,
        positions: np.ndarray,
        kind: int,
        superpixel_kind: int,
        parameters: MiningParameters,
        output: OutputPaths,
    ) -> None:
        self._assembly = assembly
        self._miner = miner
        self._selection = selection
        self._positions = positions
        self._kind = kind
        self._superpixel_kind = superpixel_kind
        self._parameters = parameters
        self._output = output
        self._names = PictureNames(assembly.images)
        self._palette = generate_palette(len(assembly.model_classes))
        self._report = self._new_report()

    def write(self, progress: Share) -> None:
        """Write all of it, a few images at a time."""
        kept = self._selection.kept
        threads = min(_THREADS, os.cpu_count() or 1)
        for drawn in ordered_map(self._draw, enumerate(kept), threads=threads, ahead=threads):
            self._report.add(
                rank=drawn.rank,
                name=os.path.basename(self._assembly.images[drawn.position]),
                score=drawn.score,
                regions=list(_report_regions(drawn.chosen)),
                pixels=drawn.chosen.size[0] * drawn.chosen.size[1],
                mask_file=drawn.mask_file,
                overlay_file=drawn.overlay_file,
                picture=drawn.overlay,
            )
            progress.progress((drawn.rank + 1) / len(kept))
        self._report.write(self._output.root_dir / "mining-report.html")

    def _new_report(self) -> MiningReport:
        parameters, classes = self._parameters, self._assembly.model_classes
        pool = JournalPool(self._assembly.journal, self._kind, self._positions)
        return MiningReport(
            title=f"Mining by {parameters.mining_algorithm}",
            class_names=classes,
            settings=parameters.model_dump(exclude=_NOT_IN_THE_REPORT),
            facts={name: _by_class_name(fact, classes) for name, fact in self._selection.facts.items()},
            image_scores=self._selection.image_scores,
            kept=len(self._selection.kept),
            pool_size=len(self._assembly.images),
            skipped=len(self._assembly.images) - len(self._positions),
            created=datetime.now(timezone.utc),
            pool_class_pixels=count_classes(pool).pixels if self._miner.covers_images else None,
        )

    def _draw(self, ranked: Tuple[int, int]) -> _Drawn:
        rank, in_pool = int(ranked[0]), int(ranked[1])
        position = int(self._positions[in_pool])
        journal, name = self._assembly.journal, self._names[position]
        regions = RegionScores.from_bytes(journal.read(position, self._kind))
        superpixels = None
        if (position, self._superpixel_kind) in journal:
            superpixels = unpack_superpixels(journal.read(position, self._superpixel_kind))
        chosen = self._selection.chosen_regions(in_pool, regions)
        mask = self._miner.region_mask(regions, chosen.region, superpixels)
        mask_file, overlay_file, overlay = f"masks/{name}.png", None, None
        self._write(mask_file, cv2.imencode(".png", mask)[1].tobytes())
        if self._parameters.save_overlays or self._report.wants_picture(rank):
            overlay = self._overlay(position, mask, chosen, superpixels)
        if self._parameters.save_overlays:
            overlay_file = f"overlays/{name}.jpg"
            self._write(overlay_file, encode_jpeg(overlay))
        if not self._report.wants_picture(rank):
            overlay = None
        score = float(self._selection.image_scores[in_pool])
        return _Drawn(rank, position, score, chosen, mask_file, overlay_file, overlay)

    def _overlay(
        self, position: int, mask: np.ndarray, chosen: RegionScores, superpixels: Optional[np.ndarray]
    ) -> np.ndarray:
        labels = superpixels
        if labels is None and self._parameters.mining_algorithm == "RIPU":
            labels = window_labels(chosen.size, chosen.region, self._parameters.ripu_region_radius)
        classes: Dict[int, int] = dict(zip(chosen.region.tolist(), chosen.class_id.tolist()))
        image = self._assembly.decode(self._assembly.images[position])
        return draw_overlay(image, mask, labels=labels, classes=classes, palette=self._palette)

    def _write(self, relative: str, content: bytes) -> None:
        with replacing(self._output.root_dir / relative, "wb", durable=False) as stream:
            stream.write(content)


def _report_regions(chosen: RegionScores) -> Iterator[ReportRegion]:
    for class_id, score, pixels in zip(chosen.class_id, chosen.score, chosen.pixel_count):
        yield ReportRegion(class_id=int(class_id), score=float(score), pixel_count=int(pixels))


def _by_class_name(fact: Any, classes: Tuple[str, ...]) -> Any:
    """A fact about each class, under the classes' names instead of their numbers; any other fact as it is."""
    if not isinstance(fact, dict):
        return fact
    return {classes[key] if isinstance(key, int) and 0 <= key < len(classes) else key: fact[key] for key in fact}
