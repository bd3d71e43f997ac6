import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle

from ymir.coco import decode_segmentation, draw_label_mask, encode_class_map, read_coco
from ymir.errors import DatasetError

masks = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def list_counts(mask):
    counts, value, run = [], False, 0
    for pixel in mask.T.reshape(-1):
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return [*counts, run]


def compressed(mask):
    return rle.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode()


@given(masks)
def test_both_kinds_of_run_lengths_decode_to_the_mask(mask):
    size = list(mask.shape)
    for counts in (compressed(mask), list_counts(mask)):
        np.testing.assert_array_equal(decode_segmentation({"size": size, "counts": counts}, mask.shape, "x"), mask)


@settings(max_examples=300)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12), st.integers(1, 6), st.integers(1, 6))
def test_any_compressed_text_decodes_to_the_size_or_is_refused(counts, height, width):
    try:
        mask = decode_segmentation({"size": [height, width], "counts": counts}, (height, width), "annotation 7")
    except DatasetError as error:
        assert "annotation 7" in str(error)
    else:
        assert mask.shape == (height, width)


def test_polygons_cover_what_they_enclose():
    square = [2, 1, 6, 1, 6, 4, 2, 4]
    mask = decode_segmentation([square, [0, 6, 2, 6, 2, 8, 0, 8]], (8, 10), "x")
    assert mask[1:4, 2:6].all()
    assert mask[6:8, 0:2].all()
    assert mask.sum() == 12 + 4
    np.testing.assert_array_equal(
        decode_segmentation(square, (8, 10), "x"), decode_segmentation([square], (8, 10), "x")
    )
    assert not decode_segmentation([], (8, 10), "x").any()


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "must be RLE or polygons, not None"),
        ("abc", "must be RLE or polygons"),
        ({"size": [8, 9], "counts": [80]}, "size is \\[8, 9\\], but the image is 8 high and 10 wide"),
        ({"counts": [80]}, "size is None"),
        ({"size": [8, 10], "counts": [79]}, "must be whole numbers that add up to 80 pixels"),
        ({"size": [8, 10], "counts": [90, -10]}, "must be whole numbers"),
        ({"size": [8, 10], "counts": [40.0, 40]}, "must be whole numbers"),
        ({"size": [8, 10], "counts": "zzzzzzzzzzz"}, "compressed run lengths do not add up"),
        ({"size": [8, 10], "counts": "é"}, "compressed run lengths do not add up"),
        ({"size": [8, 10], "counts": 3}, "must be RLE or polygons"),
        ([[1, 2, 3, 4]], "at least three x, y pairs"),
        ([[1, 2, 3, 4, 5, 6, 7]], "at least three x, y pairs"),
        ([[1, 2, 3, 4, 5, float("nan")]], "at least three x, y pairs"),
        ([[1, 2, 3, 4, 5, "6"]], "at least three x, y pairs"),
    ],
)
def test_a_segmentation_of_no_known_form_is_named(segmentation, message):
    with pytest.raises(DatasetError, match=f"^annotation 7: .*{message}"):
        decode_segmentation(segmentation, (8, 10), "annotation 7")


def coco_file(tmp_path, **content):
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    return path


def block(rows, columns, shape=(4, 6)):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return {"size": list(shape), "counts": compressed(mask)}


def test_a_label_mask_is_drawn_in_order_by_name_and_leaves_out_what_is_unknown(tmp_path):
    path = coco_file(
        tmp_path,
        images=[{"id": 31, "file_name": "some/folder/a.jpg"}, {"id": 4, "file_name": "b.jpg"}],
        categories=[{"id": 900, "name": "car"}, {"id": 3, "name": "road"}, {"id": 5, "name": "dragon"}],
        annotations=[
            {"id": 1, "image_id": 31, "category_id": 3, "segmentation": block(slice(0, 4), slice(0, 4))},
            {
                "id": 2,
                "image_id": 31,
                "category_id": 900,
                "iscrowd": 1,
                "segmentation": block(slice(1, 2), slice(0, 2)),
            },
            {"id": 3, "image_id": 31, "category_id": 5, "segmentation": block(slice(0, 4), slice(0, 6))},
            {"id": 4, "image_id": 77, "category_id": 3, "segmentation": block(slice(0, 4), slice(0, 6))},
        ],
    )
    coco = read_coco(path)
    expected = np.zeros((4, 6), np.uint8)
    expected[:, :4] = 1
    expected[1, :2] = 2
    np.testing.assert_array_equal(draw_label_mask(coco, "a.jpg", (4, 6), ["road", "car"]), expected)
    assert not draw_label_mask(coco, "b.jpg", (4, 6), ["road", "car"]).any()
    assert not draw_label_mask(coco, "not-listed.jpg", (4, 6), ["road", "car"]).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100000, "is not valid JSON"),
        ("[]", "holds a list, but must be a COCO object"),
        ('{"images": []}', "has no list 'categories'"),
        ('{"images": [{"id": 1}], "categories": []}', "an image or category has no 'file_name'"),
        ('{"images": [], "categories": [], "annotations": [{"id": 1}]}', "has no image_id or category_id"),
    ],
)
def test_a_file_that_is_no_coco_json_is_named(tmp_path, text, message):
    path = tmp_path / "coco.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=f"{path.name}.*{message}"):
        read_coco(path)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)))
def test_a_class_map_comes_back_from_its_annotations(class_map):
    categories = {1: 10, 2: 20, 4: 40}
    annotations = encode_class_map(class_map, categories)
    assert [a["category_id"] for a in annotations] == [categories[c] for c in (1, 2, 4) if (class_map == c).any()]
    for annotation in annotations:
        index = annotation["category_id"] // 10
        mask = rle.decode(annotation["segmentation"]).astype(bool)
        np.testing.assert_array_equal(mask, class_map == index)
        rows, columns = np.nonzero(mask)
        width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert annotation["bbox"] == [columns.min(), rows.min(), width, height]
        assert annotation["area"] == mask.sum()
        assert annotation["iscrowd"] == 0
        json.dumps(annotation)
