import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle

from ymir.annotations.coco import decode_segmentation, draw_label_mask, read_coco
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": {}}, "has no list 'images'"),
        ({"annotations": "x"}, "has no list 'annotations'"),
        ({"images": ["a"]}, "images holds 'a', which is no object"),
        ({"images": [{"id": None, "file_name": "a"}]}, "is None"),
        ({"images": [{"id": True, "file_name": "a"}]}, "is True"),
        ({"images": [{"id": 1, "file_name": 5}]}, "the file_name of the image .* is 5"),
        (
            {"images": [{"id": 1, "file_name": "a"}, {"id": "1", "file_name": "b"}]},
            "image id 1 is given to both 'a' and",
        ),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1.0, "name": "b"}]}, "category id 1 is given to both 'a' and"),
        ({"annotations": [{"image_id": [1], "category_id": 1}]}, "has no image_id or category_id"),
        ({"annotations": [{"image_id": 1, "category_id": 1.5}]}, "has no image_id or category_id"),
    ],
)
def test_a_fault_in_a_section_is_named(tmp_path, content, message):
    path = coco_file(tmp_path, **{"images": [], "categories": [], "annotations": [], **content})
    with pytest.raises(DatasetError, match=message):
        read_coco(path)
    faults = []
    if "no list" not in message:
        read_coco(path, faults.append)
        assert len(faults) == 1


def test_ids_are_compared_as_what_they_mean_and_entries_may_repeat(tmp_path):
    path = coco_file(
        tmp_path,
        # The annotations come first, in an order of their own.
        annotations=[
            {"id": 1, "image_id": "8", "category_id": "1", "segmentation": block(slice(0, 1), slice(0, 6))},
            {"id": 2, "image_id": 7, "category_id": 1.0, "segmentation": block(slice(1, 2), slice(0, 6))},
            {"id": 3, "image_id": 8, "category_id": 2, "segmentation": block(slice(0, 2), slice(0, 1))},
            {"id": 4, "image_id": "x-街", "category_id": 1, "segmentation": block(slice(3, 4), slice(0, 6))},
            {"id": 5, "image_id": 7, "category_id": 99, "segmentation": "of a category that is nowhere"},
        ],
        # One image under two ids, with a leading space, and one whose id is a text.
        images=[
            {"id": 7, "file_name": "x/ a.jpg"},
            {"id": 8, "file_name": " a.jpg"},
            {"id": 7, "file_name": " a.jpg"},
            {"id": "x-街", "file_name": "街.jpg"},
        ],
        categories=[{"id": 1, "name": " road"}, {"id": "2", "name": "car "}],
        info={"not": ["of", "interest"]},
    )
    coco = read_coco(path)
    assert " a.jpg" in coco and "a.jpg" not in coco
    expected = np.zeros((4, 6), np.uint8)
    expected[:2] = 1
    expected[:2, 0] = 2
    np.testing.assert_array_equal(draw_label_mask(coco, " a.jpg", (4, 6), ["road", "car"]), expected)
    assert [annotation["id"] for annotation in coco.annotations_of(" a.jpg")] == [1, 2, 3, 5]
    assert draw_label_mask(coco, "街.jpg", (4, 6), ["road", "car"])[3].all()


def test_numbers_that_json_does_not_have_are_read_and_do_not_matter_in_boxes(tmp_path):
    path = tmp_path / "coco.json"
    path.write_text(
        '\ufeff{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "road"}], "annotations": ['
        '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [NaN, Infinity, -Infinity, 1e999], "area": NaN, '
        '"segmentation": [[0, 0, 6, 0, 6, 4, 0, 4]]}]}',
        encoding="utf-8",
    )
    assert draw_label_mask(read_coco(path), "a", (4, 6), ["road"]).all()


def test_polygons_that_leave_the_image_are_cut_at_its_border():
    inside = decode_segmentation([[-50, -50, 500, -50, 500, 2, -50, 2]], (4, 6), "x")
    assert inside[:2].all() and not inside[2:].any()
    assert not decode_segmentation([[100, 100, 200, 100, 200, 200]], (4, 6), "x").any()


@settings(max_examples=300)
@given(
    st.lists(st.lists(st.floats(-2e3, 2e3) | st.integers(-20, 20), max_size=10), max_size=4),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_any_polygons_are_a_mask_or_refused(polygons, height, width):
    try:
        mask = decode_segmentation(polygons, (height, width), "annotation 7")
    except DatasetError as error:
        assert "annotation 7" in str(error)
    else:
        assert mask.shape == (height, width) and mask.dtype == bool


def test_an_outline_without_end_is_refused_before_it_is_drawn():
    zigzag = [coordinate for n in range(500) for coordinate in (9e6 * (-1) ** n, n)]
    with pytest.raises(DatasetError, match=r"outline of a polygon is \d+ pixels long, but at most 4194304"):
        decode_segmentation([zigzag], (8, 10), "x")


def test_memory_does_not_grow_with_the_segmentations(tmp_path):
    path, size = tmp_path / "coco.json", 60_000
    with open(path, "w") as stream:
        stream.write(
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "b"}], "annotations": ['
        )
        for number in range(60):
            polygon = ", ".join(["1.25"] * (size // 6))
            annotation = f'{{"id": {number}, "image_id": 1, "category_id": 1, "segmentation": [[{polygon}]]}}'
            stream.write(f",{annotation}" if number else annotation)
        stream.write("]}")
    assert path.stat().st_size > 3.5e6
    tracemalloc.start()
    try:
        coco = read_coco(path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    # Two pieces of the file and one annotation of which every number is an object.
    assert peak < 8e6
    assert len(next(coco.annotations_of("a"))["segmentation"][0]) == size // 6


def test_a_file_that_changed_is_an_error(tmp_path):
    path = coco_file(
        tmp_path,
        images=[{"id": 1, "file_name": "a"}],
        categories=[],
        annotations=[{"id": 1, "image_id": 1, "category_id": 1}],
    )
    coco = read_coco(path)
    path.write_text("{}")
    with pytest.raises(DatasetError, match="has changed"):
        list(coco.annotations_of("a"))
