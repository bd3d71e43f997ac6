import os
import signal

import pytest
import torch
import torch.distributed as dist

from mmseg.engine.distributed import (
    Rank,
    all_reduce_mean,
    all_reduce_sum,
    any_rank,
    broadcast_buffers,
    current_rank,
    launch,
    world_size,
)
from mmseg.errors import DataError


def collectives(rank, factor):
    """Runs in each process; what the first one returns reaches the test."""
    assert current_rank() == rank
    assert world_size() == 2
    model = torch.nn.BatchNorm1d(2)
    model.running_mean += rank.rank + 1
    broadcast_buffers(model)
    gathered = all_reduce_sum(model.running_mean)
    return (
        all_reduce_sum(torch.tensor([rank.rank + 1, factor])).tolist(),
        all_reduce_mean(torch.tensor([float(rank.rank)])).item(),
        any_rank(rank.rank == 1),
        any_rank(False),
        gathered.tolist(),
        torch.get_num_threads(),
    )


def fail_in(rank, failing):
    if rank.rank == failing:
        raise DataError(f"the label mask of process {rank.rank} is broken")
    dist.barrier()  # this one waits for the other, and must not be waited for


def die_in(rank, dying):
    if rank.rank == dying:
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


def add_one(rank, value):
    return rank, value + 1


def test_collectives_in_two_processes():
    total, mean, any_true, any_false, buffers, threads = launch(collectives, 2, args=(5,))
    assert total == [3, 10]
    assert mean == 0.5
    assert any_true is True and any_false is False
    assert buffers == [2.0, 2.0]  # both have the first one's
    assert threads == max(1, torch.get_num_threads() // 2)


@pytest.mark.parametrize("failing", [0, 1])
def test_an_exception_of_a_process_is_raised_here(failing):
    with pytest.raises(DataError) as caught:
        launch(fail_in, 2, args=(failing,))
    assert str(caught.value) == f"the label mask of process {failing} is broken"
    assert "fail_in" in str(caught.value.__cause__)


def test_a_process_that_is_killed_ends_all():
    with pytest.raises(Exception, match="SIGKILL"):
        launch(die_in, 2, args=(1,))


def test_one_process_is_this_one():
    assert launch(add_one, 1, args=(1,)) == (Rank(0, 1, "cpu"), 2)
    assert current_rank("cuda:1") == Rank(0, 1, "cuda:1")
    assert current_rank().is_main


def test_without_a_group_values_stay():
    tensor = torch.tensor([1.0, 2.0])
    result = all_reduce_sum(tensor)
    assert torch.equal(result, tensor) and result is not tensor
    assert any_rank(True) and not any_rank(False)


def test_devices_must_match_the_world():
    with pytest.raises(ValueError, match="as many devices"):
        launch(add_one, 2, devices=["cpu"])
