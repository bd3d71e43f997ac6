import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ymir.errors import TaskError
from ymir.mining import RegionScores
from ymir.mining.regions import rank_images


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False),
            st.integers(0, 2**31 - 1),
            st.integers(0, 2**31 - 1),
            st.integers(0, 2**31 - 1),
        ),
        max_size=20,
    ),
    st.tuples(st.integers(1, 2**31), st.integers(1, 2**31)),
)
def test_bytes_read_back_equal(rows, size):
    columns = np.array(rows, dtype=object).reshape(len(rows), 4)
    scores = RegionScores(
        columns[:, 0].astype(np.float64), *(columns[:, i].astype(np.int32) for i in (1, 2, 3)), size=size
    )
    data = scores.to_bytes()
    assert len(data) == 16 + 20 * len(rows)
    back = RegionScores.from_bytes(data)
    assert back.size == size and len(back) == len(rows)
    for name in ("score", "class_id", "pixel_count", "region"):
        np.testing.assert_array_equal(getattr(back, name), getattr(scores, name))
        assert getattr(back, name).dtype == getattr(scores, name).dtype
        # Journals are read as immutable bytes; the arrays must not be.
        assert getattr(back, name).flags.writeable


@given(st.binary(max_size=80))
def test_other_bytes_are_refused(data):
    with pytest.raises(TaskError, match="region scores"):
        RegionScores.from_bytes(data)


def test_truncated_bytes_are_refused():
    one = np.ones(1, np.int32)
    data = RegionScores(np.ones(1), one, one, one, (2, 3)).to_bytes()
    with pytest.raises(TaskError, match="35 bytes"):
        RegionScores.from_bytes(data[:-1])


def test_images_rank_by_falling_score_and_ties_by_index():
    selection = rank_images([1.0, 3.0, 1.0, 3.0, 0.0], [np.zeros(0, np.int32)] * 5, max_kept=3)
    assert selection.order.tolist() == [1, 3, 0, 2, 4]
    assert selection.kept.tolist() == [1, 3, 0]
