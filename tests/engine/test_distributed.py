import contextlib
import functools
import multiprocessing
import os
import queue
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from mmseg.engine import distributed
from mmseg.engine.distributed import (
    Ballot,
    Rank,
    all_reduce_mean,
    all_reduce_sum,
    any_rank,
    broadcast_buffers,
    current_rank,
    from_first,
    launch,
    world_size,
)
from mmseg.engine.group_place import GroupPlace
from mmseg.errors import DataError, MMSegError, OutOfMemoryError
from mmseg.termination import StopRequest, raise_on_signals


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


def convert(folder):
    Path(folder, f"made-by-{os.getpid()}").touch()
    return os.getpid()


def prepared_by_first(rank, folder):
    pid = from_first(functools.partial(convert, folder))
    ballot = Ballot()
    assert ballot.any(rank.rank == 1, False, True) == (True, False, True)
    return pid, all_reduce_sum(torch.tensor([pid == os.getpid()]).int()).item()


def test_only_the_first_process_prepares(tmp_path):
    pid, same = launch(prepared_by_first, 2, args=(str(tmp_path),))
    assert [path.name for path in tmp_path.iterdir()] == [f"made-by-{pid}"] and same == 1
    assert from_first(lambda: 5) == 5 and Ballot().any(True, False) == (True, False)


def killed_while_others_wait(rank, dying):
    if rank.rank == dying:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def test_a_process_that_the_system_kills_is_want_of_memory():
    with pytest.raises(OutOfMemoryError, match=r"process 1 was killed \(SIGKILL\).*memory"):
        launch(killed_while_others_wait, 2, args=(1,))


def lost_while_all_are_asked_to_end(rank):
    """One process, which has taken no notice of the request to end, learns first that the other one is gone."""
    dist.barrier()
    if rank.rank == 0:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(600)
    with contextlib.suppress(StopRequest):
        time.sleep(600)
    all_reduce_sum(torch.tensor([1.0]))


def stopped(answers):
    raise_on_signals()
    try:
        launch(lost_while_all_are_asked_to_end, 2)
    except BaseException as error:
        answers.put(repr(error))


def test_a_request_to_end_is_no_loss_of_a_process():
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=stopped, args=(answers,))
    process.start()
    assert answers.get(timeout=200) == repr(StopRequest(signal.SIGTERM.value))
    process.join()


def in_group(rank, what, lost, arrived):
    if what == "fail" and rank.rank == 1:
        raise DataError("the label mask of process 1 is broken")
    if what.startswith("die"):
        if rank.rank == lost:
            while not os.path.exists(arrived):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        open(arrived, "w").close()
    if what in ("fail", "die unnoticed"):
        time.sleep(600)  # in no collective, so that only being told can end it
    return all_reduce_sum(torch.tensor([rank.rank + 1])).item()


def join(place, what, lost, arrived, answers):
    raise_on_signals()
    try:
        answers.put((place.rank, launch(in_group, 1, (what, lost, arrived), devices=["cpu"], place=place)))
    except (MMSegError, RuntimeError) as error:
        answers.put((place.rank, str(error)))


def run_group(what, folder, lost=0):
    """Two processes that nobody watches; returns what `launch` gave in each, by rank, and their exit codes."""
    arrived = str(folder / "arrived")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    places = [GroupPlace(rank, rank, 2, "127.0.0.1", port) for rank in range(2)]
    processes = [context.Process(target=join, args=(place, what, lost, arrived, answers)) for place in places]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
    found = {}
    with contextlib.suppress(queue.Empty):
        while True:
            found.update([answers.get(timeout=1)])
    return found, [process.exitcode for process in processes]


def test_joining_a_group(tmp_path):
    assert run_group("work", tmp_path) == ({0: 3, 1: None}, [0, 0])


def test_a_failure_in_a_group_is_raised_in_all(tmp_path):
    sentence = "the label mask of process 1 is broken"
    assert run_group("fail", tmp_path) == ({0: sentence, 1: sentence}, [0, 0])


# With the first process its store is gone too.
@pytest.mark.parametrize(
    ("what", "lost"), [("die unnoticed", 0), ("die in a collective", 0), ("die in a collective", 1)]
)
def test_a_group_ends_when_a_process_is_lost(what, lost, tmp_path):
    found, codes = run_group(what, tmp_path, lost)
    assert found == {1 - lost: "another process of the group ended without saying why"}
    assert (codes[lost], codes[1 - lost]) == (-signal.SIGKILL, 0)


def test_a_group_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(distributed, "_JOINING", timedelta(seconds=1))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    with pytest.raises(RuntimeError, match=f"process 1 cannot join its group at 127.0.0.1:{port}: "):
        launch(add_one, 2, (1,), place=GroupPlace(1, 1, 2, "127.0.0.1", port))


def test_a_group_needs_a_device_for_each_process():
    with pytest.raises(ValueError, match="process 1 of this machine has no device"):
        launch(add_one, 1, (1,), devices=["cuda:0"], place=GroupPlace(1, 1, 2, "127.0.0.1", 1))
