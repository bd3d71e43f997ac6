from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.datasets import TrainSampler
from mmseg.errors import ConfigError, DataError


def draws(count, size=7, **arguments):
    return list(islice(TrainSampler(size, **{"seed": 3, "batch_size": 2, **arguments}), count))


def test_each_epoch_is_a_permutation_of_its_own():
    flat = [draw for batch in draws(14) for draw in batch]
    assert [draw.position for draw in flat] == list(range(28))
    epochs = [[draw.index for draw in flat[i : i + 7]] for i in range(0, 28, 7)]
    for epoch, order in enumerate(epochs):
        assert order == np.random.default_rng([3, epoch]).permutation(7).tolist()
    assert len({tuple(order) for order in epochs}) > 1
    assert all(draw.seed == 3 for draw in flat)


def test_batches_larger_than_the_data_set():
    (batch,) = draws(1, size=2, batch_size=5)
    assert sorted(draw.index for draw in batch[:4]) == [0, 0, 1, 1] and len(batch) == 5


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 20),
    batch=st.integers(1, 4),
    world=st.integers(1, 4),
    start=st.integers(0, 30),
    seed=st.integers(0),
)
def test_ranks_share_the_batch_of_one_process_and_resume_continues(size, batch, world, start, seed):
    whole = draws(start + 3, size=size, seed=seed, batch_size=batch * world)[start:]
    shares = [
        draws(3, size=size, seed=seed, batch_size=batch, rank=rank, world_size=world, start_iteration=start)
        for rank in range(world)
    ]
    assert [sum(parts, []) for parts in zip(*shares)] == whole


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"size": 0}, DataError, "training set is empty"),
        ({"batch_size": 0}, ConfigError, "samples_per_gpu must be at least 1, not 0"),
        ({"seed": -1}, ConfigError, "seed must be at least 0"),
        ({"start_iteration": -1}, ConfigError, "start_iteration must be at least 0"),
        ({"rank": 2, "world_size": 2}, ConfigError, "rank must be from 0 to 1, not 2"),
    ],
)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error, match=words):
        draws(1, **arguments)
