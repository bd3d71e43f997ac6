"""A training in two processes on the CPU, started as for two GPUs.

usage: python two_processes.py          (env.yaml as in start.py)
"""

import os
import sys

from mmseg.engine.distributed import launch
from mmseg.termination import raise_on_signals
from start import as_failure, record
from ymir.errors import TaskStopped, describe
from ymir.monitor import Monitor
from ymir.task import env_file, read_env, read_task
from ymir.train import train_share


def main() -> int:
    task = read_task(read_env(env_file(os.environ)), {})
    monitor = Monitor(task.env.output.monitor_file, task.env.task_id)
    try:
        launch(train_share, 2, (task, monitor), devices=["cpu", "cpu"])
    except BaseException as error:
        failure = describe(as_failure(error))
        print(failure.details)
        record(failure, monitor)
        return 128 + error.signal_number if isinstance(error, TaskStopped) else 1
    return 0


if __name__ == "__main__":
    raise_on_signals()
    sys.exit(main())
