"""monitor.txt: the one record from which the platform learns how far a task is, and why it failed."""

import time
from pathlib import Path
from typing import Optional

from ymir.atomic import replacing
from ymir.errors import Failure

STATE_RUNNING = 2
STATE_ERROR = 4

# What a file takes up at least, in bytes, on the usual file systems.
_BLOCK = 4096


class Monitor:
    """Writes monitor.txt. The percentage never falls.

    Args:
        path: the file; replaced as a whole at each change, because the platform reads it at any moment.
        task_id: the task's name in the record.
        pause: seconds between two records of small steps; 0 writes every one.
    """

    def __init__(self, path: Path, task_id: str, *, pause: float = 1.0) -> None:
        self._path = Path(path)
        self._task_id = task_id
        self._pause = pause
        self._percent = 0.0
        self._written: Optional[float] = None

    @property
    def percent(self) -> float:
        """How far the task is, 0 to 1."""
        return self._percent

    def progress(self, percent: float) -> None:
        """Say that the task has come as far as `percent` (0 to 1)."""
        self._percent = min(1.0, max(self._percent, percent))
        now = time.monotonic()
        if self._written is not None and self._percent < 1.0 and now - self._written < self._pause:
            return
        self._replace(self._record(f"{STATE_RUNNING}\n"))
        self._written = now

    def fail(self, failure: Failure) -> None:
        """Say that the task has failed: return code and sentence in the record, the details below it."""
        sentence = " ".join(failure.sentence.split())
        # A process that this one started may have come further than this one knows.
        self._percent = max(self._percent, self._recorded())
        record = self._record(f"{STATE_ERROR}\t{failure.return_code}\t{sentence}\n{failure.details}")
        try:
            self._replace(record)
        except OSError:
            # A full disk has no room for another file, but still what this one takes up.
            if not self._overwrite(record):
                raise

    def _recorded(self) -> float:
        """The percentage of this task that the file holds, 0 where it holds none."""
        try:
            fields = self._path.read_text(encoding="utf-8").partition("\n")[0].split("\t")
            return float(fields[2]) if fields[0] == self._task_id else 0.0
        except (OSError, ValueError, IndexError):
            return 0.0

    def _record(self, rest: str) -> str:
        return f"{self._task_id}\t{time.time():.6f}\t{self._percent:.6f}\t{rest}"

    def _replace(self, record: str) -> None:
        with replacing(self._path, durable=False) as stream:
            stream.write(record)

    def _overwrite(self, record: str) -> bool:
        """Write as much of the record as a block holds into the file that is there; whether that worked."""
        block = record.encode("utf-8")[:_BLOCK].decode("utf-8", "ignore").encode("utf-8")
        try:
            with open(self._path, "r+b", buffering=0) as stream:
                stream.truncate(stream.write(block))
        except OSError:
            return False
        return True


class Share:
    """A part of a task's progress: maps 0 to 1 of a step onto `start` to `end` of the whole."""

    def __init__(self, monitor: Monitor, start: float, end: float) -> None:
        self._monitor = monitor
        self._start = start
        self._end = end

    def progress(self, done: float) -> None:
        """Say that `done` (0 to 1) of this step is done."""
        self._monitor.progress(self._start + (self._end - self._start) * min(1.0, max(0.0, done)))

    def part(self, start: float, end: float) -> "Share":
        """The part from `start` to `end` (0 to 1) of this step, as a step of its own."""
        length = self._end - self._start
        return Share(self._monitor, self._start + length * start, self._start + length * end)
