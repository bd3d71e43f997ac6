import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from tools.demo_coco import annotate, compressed_rle, list_rle, polygons
from tools.street_scenes import CLASSES, UNLABELLED, generate_scene

IDS = {index: 100 - 7 * index for index in range(len(CLASSES))}
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.booleans())


def decode(segmentation, shape):
    """A mask by pycocotools, from any of the three forms."""
    if isinstance(segmentation, list) or isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, *shape)
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(segmentation)
    return coco_mask.decode(segmentation) > 0


def form(segmentation):
    return "polygons" if isinstance(segmentation, list) else type(segmentation["counts"]).__name__


@settings(max_examples=60, deadline=None)
@given(masks)
def test_run_lengths_decode_to_their_mask(mask):
    assert form(compressed_rle(mask)) == "str" and form(list_rle(mask)) == "list"
    np.testing.assert_array_equal(decode(compressed_rle(mask), mask.shape), mask)
    np.testing.assert_array_equal(decode(list_rle(mask), mask.shape), mask)


@settings(max_examples=150, deadline=None)
@given(masks)
def test_polygons_decode_to_exactly_their_mask_or_there_are_none(mask):
    found = polygons(mask)
    if found is not None:
        np.testing.assert_array_equal(decode(found, mask.shape), mask)


@pytest.mark.parametrize(
    "rows",
    [["1"], ["....", ".11.", ".1..", "...."], ["..1..", ".111.", "11111", ".1.1."], ["11..", "..11"], ["1..1", "1..1"]],
)
def test_shapes_without_holes_have_polygons(rows):
    mask = np.array([[cell == "1" for cell in row] for row in rows])
    np.testing.assert_array_equal(decode(polygons(mask), mask.shape), mask)


def test_a_shape_with_a_hole_has_no_polygons():
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    assert polygons(mask) is None


@pytest.fixture(scope="module")
def label():
    return generate_scene(np.random.default_rng(5), 96, 72, complete=True).label


def test_annotations_drawn_one_over_the_other_are_the_label(label):
    annotations = annotate(label, image_id=4, first_id=11, category_ids=IDS)
    drawn = np.full(label.shape, UNLABELLED)
    total = 0
    for annotation in annotations:
        mask = decode(annotation["segmentation"], label.shape)
        rows, columns = np.nonzero(mask)
        assert annotation["area"] == mask.sum() > 0
        x, y, width, height = annotation["bbox"]
        assert (x, x + width, y, y + height) == (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1)
        drawn[mask] = [index for index, number in IDS.items() if number == annotation["category_id"]][0]
        total += annotation["area"]
    np.testing.assert_array_equal(drawn, label)
    assert total > (label != UNLABELLED).sum(), "no annotation lies over another"
    assert [annotation["id"] for annotation in annotations] == list(range(11, 11 + len(annotations)))


def test_every_form_of_segmentation_occurs(label):
    annotations = annotate(label, image_id=4, first_id=1, category_ids=IDS)
    assert {form(annotation["segmentation"]) for annotation in annotations} == {"polygons", "str", "list"}
    assert {annotation["iscrowd"] for annotation in annotations} == {0, 1}


def test_things_are_annotated_one_by_one(label):
    split = np.full((20, 40), CLASSES.index("road"), np.uint8)
    split[5:9, 3:9] = split[5:9, 20:26] = CLASSES.index("car")
    annotations = annotate(split, image_id=1, first_id=1, category_ids=IDS)
    assert [annotation["category_id"] for annotation in annotations].count(IDS[CLASSES.index("car")]) == 2


def test_another_category_covers_unlabelled_pixels_at_the_bottom_only():
    label = np.full((10, 12), CLASSES.index("road"), np.uint8)
    label[2, 3:5] = label[8:, 2:10] = UNLABELLED
    annotations = annotate(label, image_id=1, first_id=1, category_ids=IDS, other_id=17)
    other = [annotation for annotation in annotations if annotation["category_id"] == 17]
    assert len(other) == 1
    expected = np.zeros(label.shape, bool)
    expected[8:, 2:10] = True
    np.testing.assert_array_equal(decode(other[0]["segmentation"], label.shape), expected)
    assert 17 not in {a["category_id"] for a in annotate(label, image_id=1, first_id=1, category_ids=IDS)}
