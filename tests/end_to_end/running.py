"""A task whose process is watched, signalled or killed while it runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from tests.end_to_end.start import ROOT

# For a machine that does much else; nothing here takes as long.
PATIENCE_SECONDS = 240


class Running:
    """A started process, the leader of a process group of its own.

    Args:
        env_file: env.yaml of its task, in the folder that also holds out/.
        command: what is run in place of start.py.
    """

    def __init__(self, env_file: Path, command: Optional[Sequence[str]] = None, **environment: str) -> None:
        self.out = Path(env_file).parent / "out"
        self._log = Path(env_file).parent / f"output-{time.monotonic_ns()}.txt"
        with self._log.open("wb") as stream:
            self.process = subprocess.Popen(
                list(command) if command is not None else [sys.executable, str(ROOT / "start.py")],
                env={
                    **os.environ,
                    "DEFAULT_ENV_FILE_PATH": str(env_file),
                    "PYTHONPATH": str(ROOT),
                    "OMP_NUM_THREADS": "1",
                    **environment,
                },
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def record(self) -> List[str]:
        """The fields of monitor.txt's record."""
        return (self.out / "monitor.txt").read_text("utf-8").partition("\n")[0].split("\t")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return as soon as the condition holds; the process must still run then."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.005)

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the process, or to all that it has started too."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def kill(self) -> None:
        """End the process and all that it has started at once."""
        self.signal(signal.SIGKILL, group=True)
        self.process.wait(PATIENCE_SECONDS)

    def finish(self) -> int:
        """Wait for the end; returns the exit status."""
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self.output) from None


def log_records(out: Path, *modes: str) -> List[Dict[str, Any]]:
    """The records of train_log.jsonl that are whole, of the modes given, without what is measured by a clock."""
    path = out / "models" / "train_log.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
    records = [json.loads(line) for line in lines if line.endswith("\n")]
    clock = ("time", "data_time", "eta")
    return [{k: v for k, v in record.items() if k not in clock} for record in records if record["mode"] in modes]


def iterations(out: Path) -> int:
    """The iteration of the last training record; 0 before the first."""
    return max((record["iter"] for record in log_records(out, "train")), default=0)
