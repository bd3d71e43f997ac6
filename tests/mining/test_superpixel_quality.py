import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ymir.mining.superpixel_quality import boundary_recall, under_segmentation_error

IGNORE = 255


def plain_boundary(labels, ignore=None):
    height, width = labels.shape
    found = set()
    for y in range(height):
        for x in range(width):
            for other_y, other_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= other_y < height and 0 <= other_x < width:
                    pair = labels[y, x], labels[other_y, other_x]
                    if pair[0] != pair[1] and ignore not in pair:
                        found.add((y, x))
    return found


def plain_boundary_recall(labels, truth, tolerance):
    wanted, found = plain_boundary(truth, IGNORE), plain_boundary(labels)
    if not wanted:
        return 1.0
    hits = [any(max(abs(y - v), abs(x - u)) <= tolerance for v, u in found) for y, x in wanted]
    return sum(hits) / len(hits)


def plain_under_segmentation_error(labels, truth):
    known = [position for position in np.ndindex(truth.shape) if truth[position] != IGNORE]
    error = 0
    for segment in {truth[p] for p in known}:
        for superpixel in {labels[p] for p in known}:
            inside = sum(labels[p] == superpixel and truth[p] == segment for p in known)
            outside = sum(labels[p] == superpixel and truth[p] != segment for p in known)
            if inside:
                error += min(inside, outside)
    return error / len(known) if known else 0.0


@st.composite
def pairs(draw):
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    labels = draw(arrays.arrays(np.int32, shape, elements=st.integers(0, 5)))
    truth = draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 7, IGNORE])))
    return labels, truth


@given(pairs(), st.integers(0, 3))
def test_boundary_recall_equals_plain_loops(pair, tolerance):
    assert boundary_recall(*pair, tolerance=tolerance) == plain_boundary_recall(*pair, tolerance)


@given(pairs())
def test_under_segmentation_error_equals_plain_loops(pair):
    assert under_segmentation_error(*pair) == pytest.approx(plain_under_segmentation_error(*pair))


def test_known_numbers():
    truth = np.zeros((4, 8), np.uint8)
    truth[:, 4:] = 1
    assert boundary_recall(truth, truth) == 1 and under_segmentation_error(truth, truth) == 0
    one = np.zeros((4, 8), np.int32)
    assert boundary_recall(one, truth) == 0
    # Both halves lie in the one superpixel, which reaches over each by the other's 16 pixels.
    assert under_segmentation_error(one, truth) == 1
    # A boundary between columns 1 and 2, where the truth has one between 3 and 4.
    left = np.broadcast_to((np.arange(8) >= 2).astype(np.int32), (4, 8))
    assert [boundary_recall(left, truth, tolerance=tolerance) for tolerance in (0, 1, 2)] == [0, 0.5, 1]
    # The right superpixel has 8 pixels in one segment and 16 in the other: 8 for either.
    assert under_segmentation_error(left, truth) == 16 / 32


def test_ignored_pixels_count_nowhere():
    truth = np.full((5, 6), 9, np.uint8)
    truth[:, 3:] = 4
    labels = (np.indices((5, 6)).sum(0) % 7).astype(np.int32)
    assert boundary_recall(np.zeros_like(labels), truth, ignore=9) == 1
    assert under_segmentation_error(labels, truth, ignore=9) == 0
    assert under_segmentation_error(labels, np.full_like(truth, 255)) == 0


@pytest.mark.parametrize("measure", [boundary_recall, under_segmentation_error])
def test_other_shapes_are_refused(measure):
    with pytest.raises(ValueError, match="of one size"):
        measure(np.zeros((3, 4), np.int32), np.zeros((4, 3), np.uint8))
