import struct

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
    st.none() | st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=9),
)
def test_bytes_read_back_equal(rows, size, features):
    columns = np.array(rows, dtype=object).reshape(len(rows), 4)
    scores = RegionScores(
        columns[:, 0].astype(np.float64),
        *(columns[:, i].astype(np.int32) for i in (1, 2, 3)),
        size=size,
        features=None if features is None else np.array(features, np.float32),
    )
    data = scores.to_bytes()
    assert len(data) == 20 + 20 * len(rows) + 4 * len(features or [])
    back = RegionScores.from_bytes(data)
    assert back.size == size and len(back) == len(rows)
    for name in ("score", "class_id", "pixel_count", "region"):
        np.testing.assert_array_equal(getattr(back, name), getattr(scores, name))
        assert getattr(back, name).dtype == getattr(scores, name).dtype
        # Journals are read as immutable bytes; the arrays must not be.
        assert getattr(back, name).flags.writeable
    if features is None:
        assert back.features is None
    else:
        assert back.features.dtype == np.float32 and back.features.flags.writeable
        np.testing.assert_array_equal(back.features, scores.features)


@given(st.binary(max_size=80))
def test_other_bytes_are_refused(data):
    with pytest.raises(TaskError, match="region scores"):
        RegionScores.from_bytes(data)


def test_torn_bytes_are_refused():
    one = np.ones(1, np.int32)
    data = RegionScores(np.ones(1), one, one, one, (2, 3), np.ones(2, np.float32)).to_bytes()
    for length in range(len(data)):
        with pytest.raises(TaskError, match=f"{length} bytes"):
            RegionScores.from_bytes(data[:length])
    with pytest.raises(TaskError, match=f"{len(data) + 1} bytes"):
        RegionScores.from_bytes(data + b"\0")


def test_the_format_before_features_is_refused():
    header = struct.pack("<4sIII", b"RGS1", 1, 2, 3)
    with pytest.raises(TaskError, match="region scores"):
        RegionScores.from_bytes(header + bytes(20))


def test_taken_regions_keep_what_they_are():
    columns = [np.arange(4, dtype=np.int32) + ten for ten in (10, 20, 30)]
    scores = RegionScores(np.zeros(4), *columns, (2, 3), np.ones(2, np.float32))
    taken = scores.take(np.array([3, 1]), np.array([0.5, 0.25]))
    assert taken.score.tolist() == [0.5, 0.25]
    assert taken.class_id.tolist() == [13, 11]
    assert taken.pixel_count.tolist() == [23, 21]
    assert taken.region.tolist() == [33, 31]
    assert taken.size == (2, 3) and taken.features is scores.features


def test_images_rank_by_falling_score_and_ties_by_index():
    selection = rank_images(np.array([1.0, 3.0, 1.0, 3.0, 0.0]), lambda position, regions: regions, max_kept=3)
    assert selection.order.tolist() == [1, 3, 0, 2, 4]
    assert selection.kept.tolist() == [1, 3, 0]
