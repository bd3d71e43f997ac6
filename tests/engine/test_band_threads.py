import threading

import pytest
import torch

from mmseg.engine.band_threads import run_in_threads


def test_every_task_runs_in_a_thread_that_computes_alone():
    numbers, names = [0] * 3, [""] * 3
    before = torch.get_num_threads()

    def task(index):
        def run():
            numbers[index] = torch.get_num_threads()
            names[index] = threading.current_thread().name

        return run

    run_in_threads([task(index) for index in range(3)])
    assert numbers == [1, 1, 1] and threading.current_thread().name not in names
    assert torch.get_num_threads() == before


def test_tensors_of_inference_mode_can_be_written_to():
    with torch.no_grad():
        result = torch.zeros(4)
        run_in_threads([lambda: result[:2].add_(1), lambda: result[2:].add_(2)])
    assert result.tolist() == [1, 1, 2, 2]


def test_one_task_runs_in_the_thread_of_the_caller():
    names = []
    run_in_threads([lambda: names.append(threading.current_thread().name)])
    assert names == [threading.current_thread().name]


def test_what_a_task_raises_is_raised_when_all_have_ended():
    ended = []

    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        run_in_threads([fail, lambda: ended.append(1)])
    assert ended == [1]
