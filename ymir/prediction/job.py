"""What infer and mining have in common: records for each candidate, and results from all records."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from mmseg.engine.logit_bands import LogitBands
from mmseg.engine.prediction import Ensemble
from ymir.journal.records import Journal
from ymir.monitor import Share
from ymir.prediction.bad_images import BAD_IMAGE_KIND, BadImage
from ymir.prediction.candidates import PLAIN, Prepare

# A payload, or what makes it: that runs in another thread while the network works on the next images.
Payload = Union[bytes, Callable[[], bytes]]


@dataclass(frozen=True)
class NetworkPass:
    """What a job wants the network to do with each image; jobs that want the same share one pass.

    Args:
        pipeline: how the image is prepared, PLAIN or AUGMENTED.
        ensemble: several predictions instead of one.
    """

    pipeline: str = PLAIN
    ensemble: Optional[Ensemble] = None


@dataclass(frozen=True)
class Prediction:
    """What the network says about one candidate."""

    logits: LogitBands  # at the candidate's own size; their softmax is the probabilities
    features: Optional[torch.Tensor]  # (D,) float32, where the job needs them
    prepared: Any  # what the job's `prepare_batch` made of this candidate


@dataclass(frozen=True)
class Assembly:
    """What there is to make results of."""

    journal: Journal
    images: Sequence[str]
    model_classes: Tuple[str, ...]
    decode: Callable[[str], np.ndarray]  # path of an image to (H, W, 3) uint8, BGR
    scratch: Path  # a folder for what is needed only meanwhile

    def bad_positions(self) -> np.ndarray:
        """The positions of the images that could not be read, rising, int64."""
        return self.journal.positions(BAD_IMAGE_KIND)

    def bad_image(self, position: int) -> Optional[BadImage]:
        """Why the image could not be read; None where it could."""
        if (position, BAD_IMAGE_KIND) not in self.journal:
            return None
        return BadImage.from_bytes(self.journal.read(position, BAD_IMAGE_KIND))


class Job:
    """One of infer and mining."""

    # Tells this job's records apart in a journal; a job with several kinds of records counts on from here.
    kind: int
    # What the network is to do, and whether the job wants the features before the last layer.
    network_pass = NetworkPass()
    needs_features = False
    # What a loader's worker computes from each decoded image for this job.
    prepare: Optional[Prepare] = None

    def start(self, model_classes: Sequence[str], with_blank_area: bool) -> None:
        """Called in each process, once the model is known and before the first record."""

    def prepare_batch(self, prepared: Sequence[Any], device: torch.device) -> Sequence[Any]:
        """From what `prepare` made of each image of a batch to what `records` is given; once for a whole batch."""
        return prepared

    def records(self, prediction: Prediction) -> Iterable[Tuple[int, Payload]]:
        """What the journal keeps of one prediction: payloads, each under a kind of its own."""
        raise NotImplementedError

    def assemble(self, assembly: Assembly, progress: Share) -> None:
        """Write the results, from the journal's records about each of the images."""
        raise NotImplementedError
