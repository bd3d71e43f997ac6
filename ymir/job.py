"""What infer and mining have in common: a record for each candidate, and results from all records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch

from ymir.candidates import Prepare
from ymir.journal import Journal
from ymir.monitor import Share


@dataclass(frozen=True)
class Prediction:
    """What the network says about one candidate."""

    logits: torch.Tensor  # (C, H, W) at the candidate's own size; their softmax is the probabilities
    class_map: torch.Tensor  # (H, W), int64
    extra: Mapping[int, Any]  # under each job's kind, what its `prepare` made of the decoded image


class Job:
    """One of infer and mining."""

    # Tells this job's records apart in a journal; a job with several kinds of records counts on from here.
    kind: int
    # What a loader's worker computes from each decoded image for this job.
    prepare: Optional[Prepare] = None

    def start(self, model_classes: Sequence[str], with_blank_area: bool) -> None:
        """Called in each process, once the model is known and before the first record."""

    def records(self, prediction: Prediction) -> Iterable[Tuple[int, bytes]]:
        """What the journal keeps of one prediction: payloads, each under a kind of its own."""
        raise NotImplementedError

    def assemble(self, journal: Journal, images: Sequence[str], progress: Share) -> None:
        """Write the results, from the journal's records about each of `images`."""
        raise NotImplementedError


def picture_names(images: Sequence[str]) -> List[str]:
    """A file name for a picture about each image: its own with .png for its extension, which stays where two images
    differ only in that."""
    stems: Dict[str, int] = {}
    for image in images:
        stems[Path(image).stem] = stems.get(Path(image).stem, 0) + 1
    return [(Path(image).stem if stems[Path(image).stem] == 1 else Path(image).name) + ".png" for image in images]
