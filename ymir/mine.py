"""Mining: region scores of each candidate, then images by falling score and the regions of the best to label."""

from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from mmseg.engine.prediction import DropoutEnsemble, Ensemble, FlipEnsemble
from ymir.journal.pool import JournalPool
from ymir.journal.superpixel_bytes import pack_superpixels
from ymir.kept_images import KeptImages
from ymir.mining import Selection, build_miner
from ymir.monitor import Share
from ymir.params import MiningParameters
from ymir.prediction.job import Assembly, Job, NetworkPass, Payload, Prediction
from ymir.results import write_mining_result
from ymir.task import Task

# How the progress of assembling is shared: selecting over the pool, then drawing what is kept.
_SELECTED = 0.3


class _Superpixels(NamedTuple):
    labels: Union[np.ndarray, torch.Tensor]  # (H, W) int32
    packed: Payload


class MiningJob(Job):
    """Writes result.tsv, and for the kept images masks of the regions to label, overlays and a report."""

    kind = 0
    # The superpixels of an image lie in a record of their own: selecting needs the scores of the whole pool, and
    # drawing the superpixels of few.
    superpixel_kind = 1

    def __init__(self, task: Task) -> None:
        parameters = task.mining
        self._parameters = parameters
        self._output = task.env.output
        self._miner = build_miner(
            mining_algorithm=parameters.mining_algorithm,
            mining_level=parameters.mining_level,
            superpixel_algorithm=parameters.superpixel_algorithm,
            superpixel_backend=parameters.superpixel_backend,
            uncertainty_method=parameters.uncertainty_method,
            disagreement=parameters.disagreement,
            max_superpixel_per_image=parameters.max_superpixel_per_image,
            max_kept_mining_image=parameters.max_kept_mining_image,
            topk_superpixel_score=parameters.topk_superpixel_score,
            class_balance=parameters.class_balance,
            ripu_region_radius=parameters.ripu_region_radius,
            coreset_candidates=parameters.coreset_candidates,
            mining_seed=parameters.mining_seed,
        )
        self.network_pass = NetworkPass(ensemble=_ensemble(parameters))
        self.needs_features = self._miner.needs_features
        self._on_device = self._miner.superpixel_backend == "torch"
        if self._miner.needs_superpixels:
            self.prepare = torch.from_numpy if self._on_device else self._opencv_superpixels

    def prepare_batch(self, prepared: Sequence[Any], device: torch.device) -> Sequence[Optional[_Superpixels]]:
        if not self._miner.needs_superpixels:
            return prepared
        if not self._on_device:
            return [_Superpixels(labels.numpy(), packed) for labels, packed in prepared]
        return self._torch_superpixels(prepared, device)

    def records(self, prediction: Prediction) -> Iterable[Tuple[int, Payload]]:
        superpixels: Optional[_Superpixels] = prediction.prepared
        labels = None if superpixels is None else superpixels.labels
        yield self.kind, self._miner.score(prediction.logits, labels, prediction.features).to_bytes()
        if superpixels is not None:
            yield self.superpixel_kind, superpixels.packed

    def assemble(self, assembly: Assembly, progress: Share) -> None:
        positions = assembly.journal.positions(self.kind)
        pool = JournalPool(assembly.journal, self.kind, positions)
        selection = self._miner.select(pool, array=partial(_array_in_file, assembly.scratch))
        write_mining_result(self._output.mining_result_file, self._ranked(assembly, positions, selection))
        progress.progress(_SELECTED)
        kept = KeptImages(
            assembly,
            miner=self._miner,
            selection=selection,
            positions=positions,
            kind=self.kind,
            superpixel_kind=self.superpixel_kind,
            parameters=self._parameters,
            output=self._output,
        )
        kept.write(progress.part(_SELECTED, 1.0))

    def _ranked(self, assembly: Assembly, positions: np.ndarray, selection: Selection) -> Iterator[Tuple[str, float]]:
        lowest = 0.0
        for number in selection.order:
            score = float(selection.image_scores[number])
            lowest = min(lowest, score)
            yield assembly.images[positions[number]], score
        # Images that cannot be read come last, whatever scores an algorithm gives.
        for position in assembly.bad_positions():
            yield assembly.images[position], lowest - 1.0

    def _opencv_superpixels(self, image: np.ndarray) -> Tuple[torch.Tensor, bytes]:
        """In a worker: the superpixels, as a tensor because that needs no copy to the main process, and packed."""
        labels = self._miner.superpixels(image)
        return torch.from_numpy(np.ascontiguousarray(labels, np.int32)), pack_superpixels(labels)

    def _torch_superpixels(self, images: Sequence[torch.Tensor], device: torch.device) -> List[_Superpixels]:
        """The superpixels of (H, W, 3) uint8 images, those of one size together."""
        by_size: Dict[Tuple[int, ...], List[int]] = {}
        for number, image in enumerate(images):
            by_size.setdefault(tuple(image.shape), []).append(number)
        found: Dict[int, _Superpixels] = {}
        for numbers in by_size.values():
            stacked = torch.stack([images[number] for number in numbers]).to(device, torch.uint8)
            for number, of_image in zip(numbers, self._miner.batch_superpixels(stacked)):
                found[number] = _Superpixels(of_image, partial(pack_superpixels, of_image.cpu().numpy()))
        return [found[number] for number in range(len(images))]


def _ensemble(parameters: MiningParameters) -> Optional[Ensemble]:
    if parameters.disagreement == "dropout":
        return DropoutEnsemble(samples=parameters.disagreement_samples, seed=parameters.mining_seed)
    return FlipEnsemble() if parameters.disagreement == "flip" else None


def _array_in_file(folder: Path, shape: Tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of zeros that lies in a file without a name, so that the system may take back its memory."""
    path = folder / "array.scratch"
    array = np.memmap(str(path), dtype, "w+", shape=tuple(shape))
    path.unlink()
    return array
