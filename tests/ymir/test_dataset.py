import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg.errors import ImageError
from tests.ymir.task_files import make_task, write_image
from ymir.dataset import convert_annotations
from ymir.errors import DatasetError


def full_counts(mask):
    runs = np.flatnonzero(np.diff(np.concatenate([[0], mask.T.reshape(-1).astype(int), [0]])))
    edges = np.concatenate([[0], runs, [mask.size]])
    return [int(n) for n in np.diff(edges)]


def write_coco_task(folder, splits, *, class_names=("road", "car"), **config):
    """splits: {"train": {name: (H, W) int array, -1 where nothing is annotated}, "val": …}"""
    images, annotations = [], []
    annotation_file = folder / "in" / "annotations" / "coco.json"
    for split, members in splits.items():
        lines = []
        for name, mask in members.items():
            image = write_image(folder / "in" / "assets" / name, mask.shape)
            images.append({"id": len(images) + 1, "file_name": image.name})
            for value in np.unique(mask[mask >= 0]):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": len(images),
                        "category_id": int(value) + 1,
                        "segmentation": {"size": list(mask.shape), "counts": full_counts(mask == value)},
                    }
                )
            lines.append(f"{image}\t{annotation_file}\n")
        (folder / "in" / f"{split}-index.tsv").write_text("".join(lines), encoding="utf-8")
    annotation_file.parent.mkdir(parents=True, exist_ok=True)
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(class_names)]
    annotation_file.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    return make_task(folder, config={"class_names": list(class_names), **config}, run_training=True)


def read_masks(index):
    lines = [line.split("\t") for line in index.read_text(encoding="utf-8").splitlines()]
    return {image.rsplit("/", 1)[1]: cv2.imread(mask, cv2.IMREAD_UNCHANGED) for image, mask in lines}


COVERED = np.array([[0, 0, 1], [1, 0, 0]])
BLANK = np.array([[0, -1, 1], [-1, -1, 0]])


def test_masks_hold_class_plus_one_and_zero_where_nothing_is_annotated(tmp_path):
    seen = []
    task = write_coco_task(
        tmp_path, {"train": {"街 1.jpg": BLANK}, "val": {"b.png": COVERED, "empty.jpg": np.full((5, 4), -1)}}
    )
    data = convert_annotations(task, seen.append)
    np.testing.assert_array_equal(read_masks(data.train_index)["街 1.jpg"], BLANK + 1)
    np.testing.assert_array_equal(read_masks(data.val_index)["b.png"], COVERED + 1)
    np.testing.assert_array_equal(read_masks(data.val_index)["empty.jpg"], np.zeros((5, 4)))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize(
    ("train", "val", "ignore", "with_blank_area"),
    [
        ([COVERED, BLANK], COVERED, False, True),
        ([COVERED, COVERED], BLANK, False, False),
        ([COVERED, BLANK], BLANK, True, False),
        ([COVERED, COVERED], COVERED, True, False),
    ],
)
def test_the_blank_area_is_decided_by_the_whole_training_set(tmp_path, train, val, ignore, with_blank_area):
    splits = {"train": {f"{i}.jpg": mask for i, mask in enumerate(train)}, "val": {"v.jpg": val}}
    data = convert_annotations(write_coco_task(tmp_path, splits, ignore_blank_area=ignore), lambda _: None)
    assert data.with_blank_area is with_blank_area
    assert data.classes == (("ymir_background",) if with_blank_area else ()) + ("road", "car")


def test_an_annotation_file_that_knows_none_of_the_images_is_refused(tmp_path):
    task = write_coco_task(tmp_path, {"train": {"a.jpg": COVERED}, "val": {"b.jpg": COVERED}})
    (tmp_path / "in" / "val-index.tsv").write_text(
        f"{write_image(tmp_path / 'c.jpg')}\t{tmp_path / 'in/annotations/coco.json'}\n"
    )
    with pytest.raises(DatasetError, match="knows none of the 1 images"):
        convert_annotations(task, lambda _: None)


def test_an_annotation_file_without_the_classes_is_refused(tmp_path):
    write_coco_task(tmp_path, {"train": {"a.jpg": COVERED}, "val": {"b.jpg": COVERED}})
    other = make_task(tmp_path, config={"class_names": ["cat"]}, run_training=True)
    with pytest.raises(DatasetError, match=r"none of which is among class_names \['cat'\]"):
        convert_annotations(other, lambda _: None)


def test_an_unreadable_image_is_named(tmp_path):
    task = write_coco_task(tmp_path, {"train": {"a.jpg": COVERED}, "val": {"b.jpg": COVERED}})
    (tmp_path / "in" / "assets" / "a.jpg").write_bytes(b"not an image")
    with pytest.raises(ImageError, match=r"a\.jpg cannot be read"):
        convert_annotations(task, lambda _: None)


def test_an_image_turned_by_exif_has_the_size_it_is_decoded_to(tmp_path):
    task = write_coco_task(tmp_path, {"train": {"a.jpg": np.zeros((6, 4), int)}, "val": {"b.jpg": COVERED}})
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "in" / "assets" / "a.jpg"
    Image.new("RGB", (6, 4)).save(path, exif=exif)
    assert cv2.imread(str(path)).shape == (6, 4, 3)
    assert read_masks(convert_annotations(task, lambda _: None).train_index)["a.jpg"].shape == (6, 4)


def write_mask_task(folder, pictures):
    for split, (name, picture) in pictures.items():
        image = write_image(folder / "in" / "assets" / f"{name}.jpg", picture.size[::-1])
        mask = folder / "in" / "annotations" / f"{name}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        picture.save(mask)
        (folder / "in" / f"{split}-index.tsv").write_text(f"{image}\t{mask}\n")
    config = {"class_names": ["road", "car"], "export_format": "seg-mask:raw"}
    return make_task(folder, config=config, run_training=True)


def test_label_pictures_with_indices(tmp_path):
    indices = np.array([[0, 1, 255], [1, 1, 0]], np.uint8)
    palette = Image.fromarray(indices)
    palette.putpalette([0, 0, 0, 255, 0, 0] + [9] * 762)
    task = write_mask_task(tmp_path, {"train": ("a", Image.fromarray(indices)), "val": ("b", palette)})
    data = convert_annotations(task, lambda _: None)
    expected = [[1, 2, 0], [2, 2, 1]]
    np.testing.assert_array_equal(read_masks(data.train_index)["a.jpg"], expected)
    np.testing.assert_array_equal(read_masks(data.val_index)["b.jpg"], expected)
    assert data.with_blank_area


def test_label_pictures_with_colours(tmp_path):
    colors = np.array([[[0, 0, 0], [128, 0, 0]], [[0, 128, 0], [7, 7, 7]]], np.uint8)
    picture = Image.fromarray(colors)
    task = write_mask_task(tmp_path, {"train": ("a", picture), "val": ("b", picture)})
    label_map = tmp_path / "in" / "annotations" / "labelmap.txt"
    label_map.write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:128,0,0::\nroad:0,128,0::\n")
    data = convert_annotations(task, lambda _: None)
    np.testing.assert_array_equal(read_masks(data.train_index)["a.jpg"], [[0, 2], [1, 0]])


@pytest.mark.parametrize(
    ("picture", "label_map", "message"),
    [
        (Image.new("RGB", (3, 2)), None, "there is no labelmap.txt that explains its colours"),
        (Image.new("L", (3, 2), 2), None, "holds class 2, but there are 2 classes"),
        (Image.new("RGB", (3, 2)), "cat:1,2,3::\n", "gives no colour to any of class_names"),
        (Image.new("RGB", (3, 2)), "road:1,2\n", "line 1: expected NAME:R,G,B"),
    ],
)
def test_label_pictures_that_cannot_be_understood(tmp_path, picture, label_map, message):
    task = write_mask_task(tmp_path, {"train": ("a", picture), "val": ("b", picture)})
    if label_map:
        (tmp_path / "in" / "annotations" / "labelmap.txt").write_text(label_map)
    with pytest.raises(DatasetError, match=message):
        convert_annotations(task, lambda _: None)


def test_a_label_picture_of_another_size_is_refused(tmp_path):
    picture = Image.new("L", (3, 2))
    task = write_mask_task(tmp_path, {"train": ("a", picture), "val": ("b", picture)})
    write_image(tmp_path / "in" / "assets" / "a.jpg", (5, 5))
    with pytest.raises(DatasetError, match=r"is \(2, 3\) \(height, width\), but its image is \(5, 5\)"):
        convert_annotations(task, lambda _: None)
