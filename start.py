"""The executor: does the one task that env.yaml describes, and leaves the reason in monitor.txt when it cannot.

usage: python start.py          (env.yaml is found by the environment variable DEFAULT_ENV_FILE_PATH, default
    /in/env.yaml)
"""

import logging
import os
import sys
from pathlib import Path
from typing import Optional

from ymir.errors import Failure, describe
from ymir.monitor import Monitor
from ymir.task import Env, env_file, read_env, read_task


def main() -> int:
    """Run the task; returns the exit status."""
    # Read by OpenMP when torch is loaded. Threads that spin while they wait are a trifle faster on an idle machine, but
    # where others use its cores too (the loader's workers do), every step waits for a thread that was not scheduled.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    monitor = None
    try:
        env = read_env(env_file(os.environ))
        monitor = Monitor(env.output.monitor_file, env.task_id)
        monitor.progress(0.0)
        run(env, monitor)
        monitor.progress(1.0)
    except BaseException as error:  # Also SystemExit and KeyboardInterrupt: the platform must learn of every end.
        failure = describe(error)
        print(f"{failure.details}\nreturn code {failure.return_code}: {failure.sentence}", file=sys.stderr)
        record(failure, monitor)
        return 1
    return 0


def record(failure: Failure, monitor: Optional[Monitor]) -> None:
    """Write the failure to monitor.txt: the task's own, or where the contract has it if env.yaml could not be read."""
    try:
        if monitor is not None:
            monitor.fail(failure)
        elif os.path.isdir("/out"):
            Monitor(Path("/out/monitor.txt"), "unknown").fail(failure)
    except OSError as unwritable:
        print(f"monitor.txt cannot be written: {unwritable}", file=sys.stderr)


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
    sys.exit(main())
