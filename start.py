"""The executor: does the one task that env.yaml describes, and leaves the reason in monitor.txt when it cannot.

usage: python start.py          (env.yaml is found by the environment variable DEFAULT_ENV_FILE_PATH, default
    /in/env.yaml)
"""

import logging
import os
import sys

from ymir.errors import describe
from ymir.monitor import Monitor
from ymir.task import Env, env_file, read_env, read_task


def main() -> int:
    """Run the task; returns the exit status."""
    # Read by OpenMP when torch is loaded. Threads that spin while they wait are a trifle faster on an idle machine, but
    # where others use its cores too (the loader's workers do), every step waits for a thread that was not scheduled.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    # Until env.yaml is read, the contract's own place is the best guess at where the record belongs.
    monitor = Monitor("/out/monitor.txt", "unknown")
    try:
        env = read_env(env_file(os.environ))
        monitor = Monitor(env.output.monitor_file, env.task_id)
        monitor.progress(0.0)
        run(env, monitor)
        monitor.progress(1.0)
    except BaseException as error:  # Also SystemExit and KeyboardInterrupt: the platform must learn of every end.
        failure = describe(error)
        print(f"{failure.details}\nreturn code {failure.return_code}: {failure.sentence}", file=sys.stderr)
        try:
            monitor.fail(failure)
        except OSError as unwritable:
            print(f"monitor.txt cannot be written: {unwritable}", file=sys.stderr)
        return 1
    return 0


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
