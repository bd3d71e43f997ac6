"""Mining: region scores of each candidate, then images by falling score and masks of the regions to label."""

import zlib
from typing import Iterable, Sequence, Tuple

import cv2
import numpy as np

from ymir.atomic import replacing
from ymir.job import Job, Prediction, picture_names
from ymir.journal import Journal
from ymir.mining import RegionScores, build_miner
from ymir.monitor import Share
from ymir.results import write_mining_result
from ymir.task import Task

# How the progress of assembling is shared: selecting over the pool, then drawing the masks.
_SELECTED = 0.3


class MiningJob(Job):
    """Writes result.tsv, and for the kept images masks of the regions to label."""

    kind = 0
    # The superpixels of an image lie in a record of their own: selecting needs the scores of the whole pool, and
    # drawing the superpixels of few.
    superpixel_kind = 1

    def __init__(self, task: Task) -> None:
        parameters = task.mining
        self._output = task.env.output
        self._miner = build_miner(
            mining_algorithm=parameters.mining_algorithm,
            superpixel_algorithm=parameters.superpixel_algorithm,
            uncertainty_method=parameters.uncertainty_method,
            max_superpixel_per_image=parameters.max_superpixel_per_image,
            max_kept_mining_image=parameters.max_kept_mining_image,
            topk_superpixel_score=parameters.topk_superpixel_score,
            class_balance=parameters.class_balance,
            ripu_region_radius=parameters.ripu_region_radius,
        )
        if self._miner.needs_superpixels:
            self.prepare = self._miner.superpixels

    def records(self, prediction: Prediction) -> Iterable[Tuple[int, bytes]]:
        superpixels = prediction.extra.get(self.kind)
        yield self.kind, self._miner.score(prediction.logits, superpixels).to_bytes()
        if superpixels is not None:
            yield self.superpixel_kind, pack_superpixels(superpixels)

    def assemble(self, journal: Journal, images: Sequence[str], progress: Share) -> None:
        pool = [RegionScores.from_bytes(journal.read(position, self.kind)) for position in range(len(images))]
        selection = self._miner.select(pool)
        write_mining_result(
            self._output.mining_result_file,
            ((images[position], float(selection.image_scores[position])) for position in selection.order),
        )
        names = picture_names(images)
        for number, position in enumerate(selection.kept):
            superpixels = None
            if (position, self.superpixel_kind) in journal:
                superpixels = unpack_superpixels(journal.read(position, self.superpixel_kind))
            mask = self._miner.region_mask(pool[position], selection.chosen[position], superpixels)
            _write_mask(self._output.root_dir / "masks" / names[position], mask)
            progress.progress(_SELECTED + (1 - _SELECTED) * (number + 1) / len(selection.kept))


def pack_superpixels(labels: np.ndarray) -> bytes:
    """(H, W) int32 labels as bytes: neighbours mostly have the same label, so their differences compress well."""
    height, width = labels.shape
    steps = np.diff(labels, axis=1, prepend=0)
    return np.array([height, width], np.int32).tobytes() + zlib.compress(steps.astype(np.int32).tobytes(), 1)


def unpack_superpixels(payload: bytes) -> np.ndarray:
    """The labels that `pack_superpixels` packed."""
    height, width = np.frombuffer(payload[:8], np.int32)
    steps = np.frombuffer(zlib.decompress(payload[8:]), np.int32).reshape(height, width)
    return np.cumsum(steps, axis=1, dtype=np.int32)


def _write_mask(path, mask: np.ndarray) -> None:
    with replacing(path, "wb", durable=False) as stream:
        stream.write(cv2.imencode(".png", mask)[1].tobytes())
