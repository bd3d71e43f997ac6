import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as pycocotools

from ymir.annotations import coco
from ymir.rle import encode_class_map

EVERY_CLASS = {index: 7 * index + 3 for index in range(256)}


def class_by_class(class_map, categories):
    """The same annotations by pycocotools alone, one mask for each class."""
    annotations = []
    for index in np.unique(class_map):
        if int(index) not in categories:
            continue
        encoded = pycocotools.encode(np.asfortranarray(class_map == index, dtype=np.uint8))
        annotations.append(
            {
                "category_id": categories[int(index)],
                "bbox": [float(v) for v in pycocotools.toBbox(encoded)],
                "area": int(pycocotools.area(encoded)),
                "iscrowd": 0,
                "segmentation": {
                    "size": [int(n) for n in encoded["size"]],
                    "counts": encoded["counts"].decode("ascii"),
                },
            }
        )
    return annotations


def check(class_map, categories=EVERY_CLASS):
    # As text, so that the order of the keys and the types of the numbers count too.
    found = json.dumps(encode_class_map(class_map, categories))
    assert found == json.dumps(class_by_class(class_map, categories))


def smooth(height, width, num_classes, seed=0):
    noise = np.random.default_rng(seed).random((num_classes, max(2, height // 16), max(2, width // 16)))
    return np.stack([cv2.resize(n, (width, height)) for n in noise]).argmax(0).astype(np.uint8)


sides = st.integers(1, 24)


@given(arrays.arrays(np.uint8, st.tuples(sides, sides), elements=st.sampled_from([0, 1, 2, 18, 254, 255])))
def test_equals_class_by_class(class_map):
    check(class_map)


@given(
    st.one_of(
        arrays.arrays(np.uint8, st.tuples(st.just(1), st.integers(1, 300))),
        arrays.arrays(np.uint8, st.tuples(st.integers(1, 300), st.just(1))),
    )
)
def test_one_row_and_one_column(class_map):
    check(class_map)


@given(
    arrays.arrays(np.uint8, st.tuples(sides, sides), elements=st.integers(0, 4)),
    st.dictionaries(st.integers(0, 6), st.integers(0, 10**9)),
)
def test_only_the_wanted_categories_are_written(class_map, categories):
    check(class_map, categories)


@given(sides, sides, st.lists(st.tuples(sides, sides, sides, sides, st.integers(0, 3)), max_size=6))
def test_rectangles(height, width, rectangles):
    class_map = np.zeros((height, width), np.uint8)
    for top, left, bottom, right, index in rectangles:
        class_map[top:bottom, left:right] = index
    check(class_map)


@pytest.mark.parametrize(
    "class_map",
    [
        np.zeros((1, 1), np.uint8),
        np.full((5, 7), 255, np.uint8),
        np.indices((16, 15)).sum(0).astype(np.uint8) % 2,
        np.indices((8, 8)).sum(0).astype(np.uint8) % 3,
        np.repeat(np.arange(9, dtype=np.uint8)[:, None], 4, 1),
        np.repeat(np.arange(9, dtype=np.uint8)[None], 4, 0),
        np.arange(256, dtype=np.uint8).reshape(16, 16),
        np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8),
        # Runs of a class that each end where a column ends, and one that goes on into the next.
        np.array([[0, 1, 1], [0, 1, 0], [1, 1, 0]], np.uint8),
        np.array([[0, 1], [1, 0]], np.uint8),
        smooth(480, 640, 12),
        smooth(37, 2000, 5),
        smooth(1500, 1100, 19),
    ],
)
def test_particular_maps(class_map):
    check(class_map)


def test_memory_layouts():
    class_map = smooth(60, 90, 6)
    for view in (np.asfortranarray(class_map), class_map[::2, ::3], class_map[::-1], class_map.T):
        check(view)
    class_map.setflags(write=False)
    check(class_map)


def test_no_pixels_and_no_categories():
    assert encode_class_map(np.zeros((0, 5), np.uint8), EVERY_CLASS) == []
    assert encode_class_map(np.zeros((5, 0), np.uint8), EVERY_CLASS) == []
    assert encode_class_map(np.zeros((3, 4), np.uint8), {}) == []


@pytest.mark.parametrize("class_map", [np.zeros((2, 3), np.int64), np.zeros((1, 2, 3), np.uint8)])
def test_other_arrays_are_refused(class_map):
    with pytest.raises(ValueError, match=r"\(H, W\) and uint8"):
        encode_class_map(class_map, EVERY_CLASS)


def test_the_reader_of_annotations_offers_it_too():
    assert coco.encode_class_map is encode_class_map
