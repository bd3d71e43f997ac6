"""A log that programs read: one JSON object a line."""

import json
import math
import os
import platform
from pathlib import Path
from typing import IO, Any, Dict, Optional

import numpy as np
import torch

from mmseg.engine.callbacks import Callback, EndEvent, EvaluationEvent, IterationEvent, StartEvent


class JsonLogger(Callback):
    """Appends to a file of JSON lines.

    - `{"mode": "start", "iter", "max_iters", "env", "meta"}` when a run begins or is resumed. Records of later
      iterations, which an interrupted run wrote after the checkpoint that this one begins with, are taken out then;
    - `{"mode": "train", "iter", "lr", "time", "data_time", "eta", "memory", …losses}` every log interval: means over
      the interval for losses, times in seconds of the last iteration, memory in MiB;
    - `{"mode": "val", "iter", "is_best", …metrics}` for an evaluation, with a list of one number per class for each
      metric that has them.

    NaN and infinity, which JSON has not, are null. Each line is flushed, and a line that was cut off by the end of the
    process is taken out when the run is resumed.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._file: Optional[IO[bytes]] = None

    def on_start(self, event: StartEvent) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _drop_later_records(self.path, event.iteration)
        self._file = self.path.open("ab")
        env = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": platform.platform(),
        }
        if torch.cuda.is_available():
            env["cuda"] = str(torch.version.cuda)
            env["gpu"] = torch.cuda.get_device_name()
        record = {"iter": event.iteration, "max_iters": event.max_iters, "env": env, "meta": dict(event.meta)}
        self._write("start", record)

    def on_iteration(self, event: IterationEvent) -> None:
        if event.mean_losses is None:
            return
        record: Dict[str, Any] = {
            "iter": event.iteration,
            "lr": event.learning_rates[0],
            "time": round(event.seconds, 4),
            "data_time": round(event.data_seconds, 4),
            "eta": round(event.eta_seconds, 1),
        }
        if event.memory is not None:
            record["memory"] = event.memory
        self._write("train", {**record, **event.mean_losses})

    def on_evaluation(self, event: EvaluationEvent) -> None:
        self._write("val", {"iter": event.iteration, "is_best": event.is_best, **event.metrics.to_dict()})

    def on_end(self, event: EndEvent) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, mode: str, record: Dict[str, Any]) -> None:
        text = json.dumps(_finite({"mode": mode, **record}), ensure_ascii=False, allow_nan=False, default=str)
        self._file.write(text.encode("utf-8", "backslashreplace") + b"\n")
        self._file.flush()


def _drop_later_records(path: Path, iteration: int) -> None:
    """Keep the records up to an iteration, in a new file that takes the place of the old one."""
    if not path.is_file():
        return
    partial = path.with_name(f".{path.name}.partial")
    with path.open("rb") as old, partial.open("wb") as new:
        new.writelines(line for line in old if _iteration_of(line) <= iteration)
        new.flush()
        os.fsync(new.fileno())
    os.replace(partial, path)


def _iteration_of(line: bytes) -> float:
    """The iteration of a record; infinite where the line is none, as the last one of a killed process."""
    try:
        iteration = json.loads(line.decode("utf-8"))["iter"] if line.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError):
        return math.inf
    return iteration if isinstance(iteration, int) else math.inf


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
