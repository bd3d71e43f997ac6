"""What a training tells those who want to know: events, and the callbacks that receive them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from mmseg.engine.metrics import Metrics, Picture


@dataclass(frozen=True)
class CheckpointRecord:
    """A checkpoint file that exists.

    Attributes:
        path: a regular file.
        iteration: iterations done when it was written.
        metrics: `Metrics.summary()` of these weights; None when they were not evaluated.
        kind: `latest` (the newest weights that were evaluated; the newest of all while none were), `best` (the highest
            mIoU when it was written), `iter` (a kept stage) or `resume` (newer than the latest, only to go on from).
    """

    path: Path
    iteration: int
    metrics: Optional[Dict[str, float]]
    kind: str


@dataclass(frozen=True)
class StartEvent:
    """The run is about to begin.

    Attributes:
        iteration: iterations done before, above 0 after a resume.
        max_iters: iterations of the whole run.
        meta: what the checkpoints carry: CLASSES, PALETTE, the config as text, the seed, versions.
    """

    iteration: int
    max_iters: int
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IterationEvent:
    """An iteration is done.

    Attributes:
        iteration: iterations done, so 1 after the first.
        max_iters: iterations of the whole run.
        losses: of this iteration by name, averaged over the processes: the losses and accuracies of the model, `loss`
            (the total) and, where gradients are clipped, `grad_norm`. None when they are still on the GPU.
        mean_losses: the same averaged over the iterations since they were last given, which is every `log_interval`
            iterations and at the last; None at the others. A log needs no more than these.
        learning_rates: of the optimizer's parameter groups.
        seconds: of the whole iteration.
        data_seconds: of it, waiting for the loader.
        eta_seconds: to the end of the run, evaluations included.
        memory: peak GPU memory in MiB; None on a CPU.
    """

    iteration: int
    max_iters: int
    losses: Optional[Dict[str, float]]
    mean_losses: Optional[Dict[str, float]]
    learning_rates: List[float]
    seconds: float
    data_seconds: float
    eta_seconds: float
    memory: Optional[int]


@dataclass(frozen=True)
class EvaluationEvent:
    """The model was evaluated; `is_best` when no evaluation before found a mIoU as high."""

    iteration: int
    metrics: Metrics
    is_best: bool
    pictures: Tuple[Picture, ...] = ()


@dataclass(frozen=True)
class CheckpointEvent:
    """Checkpoints were written. Those in `kept` exist now and until the next event; `best` and `latest` are among them.

    Files that are superseded are deleted only after the callbacks have returned, so what a callback recorded at the
    last event exists whenever the process ends.
    """

    iteration: int
    latest: CheckpointRecord
    best: Optional[CheckpointRecord]
    kept: List[CheckpointRecord]


@dataclass(frozen=True)
class EndEvent:
    """The run is over: `reason` is `completed`, `stopped` (as asked, between iterations) or `failed` (an exception)."""

    iteration: int
    reason: str


class Callback:
    """Told what happens in a training, in the first process only. An exception from a callback ends the run."""

    def on_start(self, event: StartEvent) -> None:
        """Called once, before the first iteration."""

    def on_iteration(self, event: IterationEvent) -> None:
        """Called after every iteration."""

    def on_evaluation(self, event: EvaluationEvent) -> None:
        """Called after every evaluation, before its checkpoint is written."""

    def on_checkpoint(self, event: CheckpointEvent) -> None:
        """Called when new checkpoints are in place, before superseded ones are deleted."""

    def on_end(self, event: EndEvent) -> None:
        """Called once, also after an exception."""
