import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.datasets.samplers import ConsecutiveBatches
from ymir.prediction.units import Units


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 4), st.data())
def test_shares_cut_into_batches_are_the_units_that_are_missing(images, size, world_size, data):
    units = Units(images, size)
    done = data.draw(st.sets(st.integers(0, len(units) - 1)))
    missing = units.missing(np.array(sorted(done), np.int64))
    assert sorted([*missing, *done]) == list(range(len(units)))
    counts, seen = [], []
    for rank in range(world_size):
        share = missing[rank::world_size]
        batches = list(ConsecutiveBatches(units.positions(share), size))
        assert batches == [list(range(n * size, min(images, (n + 1) * size))) for n in share]
        counts.append(len(share))
        seen += [position for batch in batches for position in batch]
    assert max(counts) - min(counts) <= 1
    assert sorted(seen) == [position for position in range(images) if units.number_of(position) not in done]
