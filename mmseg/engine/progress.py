"""Progress for the person who watches: a bar on a terminal, otherwise lines in the log."""

import datetime
import logging
import sys
from typing import IO, Any, Dict, Optional

from tqdm import tqdm

from mmseg.engine.callbacks import Callback, EndEvent, EvaluationEvent, IterationEvent, StartEvent

logger = logging.getLogger("mmseg")


class ProgressBar(Callback):
    """Shows iterations, loss, learning rate and the time left.

    On a terminal it is one line that is rewritten. Elsewhere (a file, a container's output) the logger `mmseg` gets a
    line every log interval. The table of every evaluation goes to the logger in both cases.

    Args:
        stream: where the bar is drawn; the standard error by default.
    """

    def __init__(self, stream: Optional[IO[str]] = None) -> None:
        self._stream = stream
        self._bar: Any = None
        self._classes: Any = None
        self._shown: Dict[str, str] = {}

    def on_start(self, event: StartEvent) -> None:
        self._classes = event.meta.get("CLASSES")
        stream = self._stream if self._stream is not None else sys.stderr
        if stream is not None and stream.isatty():
            self._bar = tqdm(
                total=event.max_iters,
                initial=event.iteration,
                file=stream,
                dynamic_ncols=True,
                bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            )
        logger.info("training from iteration %d to %d", event.iteration, event.max_iters)

    def on_iteration(self, event: IterationEvent) -> None:
        if event.losses is not None:
            self._shown["loss"] = f"{event.losses['loss']:.4f}"
        self._shown["lr"] = f"{event.learning_rates[0]:.3g}"
        self._shown["eta"] = duration(event.eta_seconds)
        if self._bar is not None:
            self._bar.set_postfix(self._shown, refresh=False)
            self._bar.update(1)
        elif event.mean_losses is not None:
            losses = ", ".join(f"{name} {value:.4f}" for name, value in event.mean_losses.items())
            memory = f", memory {event.memory} MiB" if event.memory is not None else ""
            logger.info(
                "iteration %d/%d: %s, lr %.3e, %.3f s (data %.3f s)%s, eta %s",
                event.iteration,
                event.max_iters,
                losses,
                event.learning_rates[0],
                event.seconds,
                event.data_seconds,
                memory,
                duration(event.eta_seconds),
            )

    def on_evaluation(self, event: EvaluationEvent) -> None:
        best = ", the best so far" if event.is_best else ""
        table = event.metrics.table(self._classes)
        text = f"evaluation at iteration {event.iteration}: mIoU {100 * event.metrics.mIoU:.2f}{best}\n{table}"
        if self._bar is not None:
            self._bar.clear()
        logger.info("%s", text)
        if self._bar is not None:
            self._bar.refresh()

    def on_end(self, event: EndEvent) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        logger.info("training %s at iteration %d", event.reason, event.iteration)


def duration(seconds: float) -> str:
    """Seconds as `[D days, ]H:MM:SS`."""
    return str(datetime.timedelta(seconds=round(seconds)))
