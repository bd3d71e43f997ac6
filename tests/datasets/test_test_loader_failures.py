"""What the test loader does with samples that cannot be made, and with workers that are killed."""

import errno
import os
import resource
import signal
import threading
import time

import numpy as np
import pytest
import torch

from mmseg.datasets import FailedSample, build_test_loader
from mmseg.errors import DataError, ImageError, LoaderWorkerError


class Samples:
    """Samples of one size, of which those at some indices raise an error."""

    def __init__(self, size, errors):
        self.size = size
        self.errors = errors

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index in self.errors:
            raise self.errors[index]
        return {"img": torch.full((3, 4, 4), float(index)), "img_metas": {"index": index}}


def load(dataset, workers, handed_over=()):
    return build_test_loader(dataset, samples_per_gpu=3, workers_per_gpu=workers, handed_over=handed_over)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_that_is_handed_over_costs_its_sample_alone(workers):
    errors = {1: ImageError("image 1"), 3: ImageError("image 3"), 4: ImageError("image 4"), 5: ImageError("image 5")}
    items = list(load(Samples(8, errors), workers, (ImageError,)))
    failed = [[(part.index, str(part.error)) for part in item if isinstance(part, FailedSample)] for item in items]
    assert failed == [[(1, "image 1")], [(3, "image 3"), (4, "image 4"), (5, "image 5")], []]
    batches = [[part for part in item if not isinstance(part, FailedSample)] for item in items]
    assert [[batch.indices for batch in parts] for parts in batches] == [[[0, 2]], [], [[6, 7]]]
    assert batches[0][0].images[0][:, 0, 0, 0].tolist() == [0, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_other_errors_are_raised_in_their_turn(workers):
    loader = load(Samples(8, {1: ImageError("image 1"), 4: DataError("wrong")}), workers, (ImageError,))
    items = iter(loader)
    assert [part.index for part in next(items) if isinstance(part, FailedSample)] == [1]
    with pytest.raises(DataError, match="wrong"):
        next(items)


def test_without_a_wish_every_error_is_raised():
    with pytest.raises(ImageError, match="image 1"):
        list(load(Samples(8, {1: ImageError("image 1")}), 0))


def test_indices_may_be_any_sequence():
    for indices in (range(1, 8, 2), np.array([5, 1], np.int64)):
        items = list(build_test_loader(Samples(8, {}), samples_per_gpu=3, workers_per_gpu=0, indices=indices))
        found = [index for (batch,) in items for index in batch.indices]
        assert found == list(indices) and all(type(index) is int for index in found)


class Killed(Samples):
    """Samples whose worker gets a signal while it makes the third."""

    def __init__(self, number):
        super().__init__(8, {})
        self.number = number

    def __getitem__(self, index):
        if index == 2:
            os.kill(os.getpid(), self.number)
        return super().__getitem__(index)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS])
def test_a_killed_worker_is_one_sentence(number):
    with pytest.raises(LoaderWorkerError, match="a process that loads images .*workers_per_gpu to 0") as caught:
        list(load(Killed(number), 1))
    assert isinstance(caught.value, MemoryError)


class Telling(Samples):
    """Samples that tell the process that made them."""

    def __getitem__(self, index):
        return {**super().__getitem__(index), "extra": os.getpid()}


def test_a_worker_killed_while_its_batch_is_used_is_the_same_sentence():
    items = iter(load(Telling(8, {}), 1))
    (batch,) = next(items)
    with pytest.raises(LoaderWorkerError, match="is killed by signal: Killed: .*workers_per_gpu to 0"):
        os.kill(batch.extra[0], signal.SIGKILL)
        for _ in range(6000):
            time.sleep(0.01)


class Broken:
    """What arrives over a connection that breaks, of a process that is killed a moment later."""

    def __reduce__(self):
        return _break, (os.getpid(),)


def _break(worker):
    threading.Timer(0.1, os.kill, (worker, signal.SIGKILL)).start()
    raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


class WithBroken(Samples):
    def __getitem__(self, index):
        return {**super().__getitem__(index), "extra": Broken()}


def test_a_connection_that_breaks_with_its_worker_is_the_same_sentence():
    with pytest.raises(LoaderWorkerError, match="is killed by signal: Killed: .*workers_per_gpu to 0"):
        list(load(WithBroken(8, {}), 1))


class WithoutSharedMemory(Samples):
    """Samples of a worker that finds no room in the shared memory."""

    def __getitem__(self, index):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
        return super().__getitem__(index)


def test_a_full_shared_memory_is_one_sentence():
    with pytest.raises(LoaderWorkerError, match="shared memory .*workers_per_gpu to 0"):
        list(load(WithoutSharedMemory(8, {}), 1))


class WithMoreThanPixels(WithoutSharedMemory):
    """Samples whose images find room, but not what travels along."""

    def __getitem__(self, index):
        super().__getitem__(index)
        return {"img": torch.zeros(1, 1, 1), "img_metas": {}, "extra": torch.zeros(1000)}


def test_what_travels_along_and_finds_no_room_is_the_same_sentence():
    with pytest.raises(LoaderWorkerError, match="shared memory .*workers_per_gpu to 0"):
        list(load(WithMoreThanPixels(8, {}), 1))


class Travelling(Samples):
    def __getitem__(self, index):
        return {**super().__getitem__(index), "extra": {"labels": torch.arange(5) + index, "name": "图"}}


@pytest.mark.parametrize("workers", [0, 2])
def test_what_travels_along_arrives_as_it_was(workers):
    found = [extra for (batch,) in load(Travelling(4, {}), workers) for extra in batch.extra]
    assert [extra["labels"].tolist() for extra in found] == [list(range(index, index + 5)) for index in range(4)]
    assert {extra["name"] for extra in found} == {"图"}


# PyTorch's iterator is not ready for its own end there.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_that_cannot_be_started_are_one_sentence():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, limits[1]))
    try:
        with pytest.raises(LoaderWorkerError, match="cannot be started .*Too many open files.*workers_per_gpu to 0"):
            list(load(Samples(8, {}), 2))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
