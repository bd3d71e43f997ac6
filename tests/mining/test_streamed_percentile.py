import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ymir.mining.streamed_percentile import streamed_percentile

NUMBERS = st.one_of(
    st.floats(-1e300, 1e300),
    st.floats(0, 1),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, 1.0 + 2**-52, 0.1, 2.2250738585072014e-308]),
)


def chunked(numbers, sizes):
    """The numbers in arrays of the given sizes over and over."""

    def chunks():
        begin = place = 0
        while begin < len(numbers):
            size = sizes[place % len(sizes)]
            yield numbers[begin : begin + size]
            begin, place = begin + size, place + 1

    return chunks


@settings(max_examples=200, deadline=None)
@given(
    st.lists(NUMBERS, min_size=1, max_size=60),
    st.floats(0, 100) | st.integers(0, 100),
    st.lists(st.integers(1, 9), min_size=1, max_size=3),
    st.sampled_from([0, 1, 5, 1000]),
)
def test_equals_numpy_bit_for_bit(numbers, percent, sizes, most_held):
    numbers = np.array(numbers)
    found = streamed_percentile(chunked(numbers, sizes), len(numbers), percent, most_held=most_held)
    assert found == np.percentile(numbers, percent)


@pytest.mark.parametrize("most_held", [0, 100, 1 << 19])
@pytest.mark.parametrize(
    "kind", ["uniform", "few values", "all equal", "zeros", "two far apart", "neighbours", "denormal", "many sizes"]
)
def test_large_pools_in_small_chunks(kind, most_held):
    rng = np.random.default_rng(0)
    size = 30_000
    numbers = {
        "uniform": rng.random(size),
        "few values": rng.integers(0, 3, size) / 3,
        "all equal": np.full(size, 0.3),
        "zeros": np.zeros(size),
        "two far apart": np.where(np.arange(size) < size * 0.8, -1e-300, 1e300),
        # All 64 bits are needed to tell them apart.
        "neighbours": (np.float64(0.3).view(np.int64) + rng.integers(0, size, size)).view(np.float64),
        "denormal": rng.integers(0, 1000, size).view(np.float64),
        "many sizes": np.exp(rng.standard_normal(size) * 100) * rng.choice([-1, 1], size),
    }[kind]
    for percent in (0, 12.5, 80, 98, 100):
        found = streamed_percentile(chunked(numbers, [256, 1]), size, percent, most_held=most_held)
        assert found == np.percentile(numbers, percent)


def test_memory_does_not_grow_with_the_pool():
    most = []

    def chunks():
        for number in range(600):
            values = np.random.default_rng(number).random(1000)
            most.append(len(values))
            yield values

    everything = np.concatenate(list(chunks()))
    most.clear()
    assert streamed_percentile(chunks, len(everything), 97, most_held=1000) == np.percentile(everything, 97)
    # One pass for each 16 bits that are needed, and one to sort: here the first 16 leave thousands of numbers.
    assert len(most) == 3 * 600


def test_one_pass_where_everything_fits():
    passes = []

    def chunks():
        passes.append(1)
        yield np.arange(10.0)

    assert streamed_percentile(chunks, 10, 50) == 4.5
    assert len(passes) == 1


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="no numbers"):
        streamed_percentile(lambda: [], 0, 50)
    with pytest.raises(ValueError, match="NaN"):
        streamed_percentile(lambda: [np.array([1, np.nan])], 2, 50)
    for count in (1, 3):
        with pytest.raises(ValueError, match=f"there are 2 numbers and not {count}"):
            streamed_percentile(lambda: [np.ones(2)], count, 50)
