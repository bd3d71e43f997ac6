"""Work on the CPU divided among threads that compute with one thread each.

An operation on a piece that fits a CPU's cache takes less time than it takes torch to divide it among threads and to
wait for them. So the pieces are divided instead of the operations.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Sequence

import torch

from mmseg.torch_compat import inference_mode


def run_in_threads(tasks: Sequence[Callable[[], None]]) -> None:
    """Run all tasks at once, each in a thread of its own, without gradients; one alone runs in this thread.

    What the first of those that fail raises is raised here when all have ended.
    """
    if len(tasks) == 1:
        tasks[0]()
        return
    with ThreadPoolExecutor(max_workers=len(tasks), initializer=_use_one_thread) as pool:
        for future in [pool.submit(_without_gradients, task) for task in tasks]:
            future.result()


def _use_one_thread() -> None:
    # For operations that this thread starts; those of other threads keep their number.
    torch.set_num_threads(1)


def _without_gradients(task: Callable[[], None]) -> None:
    # The mode belongs to a thread; tensors that were made in it may only be written to in it.
    with inference_mode():
        task()
