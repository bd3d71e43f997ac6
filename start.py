"""The executor: does the one task that env.yaml describes, and leaves the reason in monitor.txt when it cannot.

usage: python start.py          (env.yaml is found by the environment variable DEFAULT_ENV_FILE_PATH, default
    /in/env.yaml)
"""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Optional

from mmseg.allocator import keep_freed_memory
from mmseg.termination import StopRequest, ignore_signals, raise_on_signals
from ymir.errors import Failure, TaskStopped, describe, printable
from ymir.group import read_group_place
from ymir.monitor import STATE_ERROR, Monitor
from ymir.task import Env, env_file, read_env, read_task


class PrintableFormatter(logging.Formatter):
    """Spells out what would steer the terminal: the log quotes names out of strangers' files."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def main() -> int:
    """Run the task; returns the exit status: 0, or 1 after a failure, or 128 and the number of the signal that ended
    it."""
    # Read by OpenMP when torch is loaded. Threads that spin while they wait are a trifle faster on an idle machine, but
    # where others use its cores too (the loader's workers do), every step waits for a thread that was not scheduled.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    monitor, monitor_file, is_first = None, Path("/out/monitor.txt"), True
    try:
        env = read_env(env_file(os.environ))
        monitor_file = env.output.monitor_file
        monitor = Monitor(monitor_file, env.task_id)
        # Of the processes that a launcher has started the first one speaks for all, but each for its own failure.
        place = read_group_place(os.environ)
        is_first = place is None or place.rank == 0
        if is_first:
            monitor.progress(0.0)
        run(env, monitor)
        if is_first:
            monitor.progress(1.0)
    except BaseException as error:  # Also SystemExit and StopRequest: the platform must learn of every end.
        error = as_failure(error)
        failure = describe(error)
        if is_first or not has_failed(monitor_file):
            record(failure, monitor)
        say(f"{failure.details}\nreturn code {failure.return_code}: {failure.sentence}")
        return 128 + error.signal_number if isinstance(error, TaskStopped) else 1
    return 0


def as_failure(error: BaseException) -> BaseException:
    """`error`; a bare request to end with a sentence that says what it means for the task."""
    if not isinstance(error, StopRequest):
        return error
    stopped = TaskStopped(f"{error}: started again the task goes on from what it has written", error.number)
    return stopped.with_traceback(error.__traceback__)


def has_failed(monitor_file: Path) -> bool:
    """Whether monitor.txt holds the record of a failure."""
    try:
        fields = monitor_file.read_text(encoding="utf-8").partition("\n")[0].split("\t")
    except (OSError, ValueError):
        return False
    return len(fields) > 3 and fields[3] == str(STATE_ERROR)


def record(failure: Failure, monitor: Optional[Monitor]) -> None:
    """Write the failure to monitor.txt: the task's own, or where the contract has it if env.yaml could not be read."""
    try:
        if monitor is not None:
            monitor.fail(failure)
        elif os.path.isdir("/out"):
            Monitor(Path("/out/monitor.txt"), "unknown").fail(failure)
    except OSError as unwritable:
        say(f"monitor.txt cannot be written: {unwritable}")


def say(text: str) -> None:
    """Write to stderr, if anybody still reads it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def finish_output() -> None:
    """Write what is left of the log. Python's own attempt at exit would, where nobody reads it any more, put 120 in
    place of the exit status."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run(env: Env, monitor: Monitor) -> None:
    """Do what env.yaml asks for."""
    task = read_task(env, os.environ)
    for warning in task.warnings:
        logging.warning(warning)
    # Imported when they are needed: a wrong hyper-parameter is reported without waiting for torch.
    if task.training:
        from ymir.train import train

        train(task, monitor)
    else:
        from ymir.predict import predict

        predict(task, monitor)


if __name__ == "__main__":
    raise_on_signals()
    status = main()
    # The end is recorded; what is left is the interpreter's own, and takes a while with torch loaded.
    ignore_signals()
    finish_output()
    sys.exit(status)
