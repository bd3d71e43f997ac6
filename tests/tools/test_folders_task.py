import json

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as coco_mask

from tests.ymir.task_files import write_image
from tools import folders_task, score_infer

LABEL = np.array([[0, 0, 1], [255, 1, 1]], np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Two splits of one image each, and the arguments that name them."""
    for split in ("train", "val"):
        write_image(tmp_path / split / "images" / f"{split} 图.jpg", LABEL.shape)
        (tmp_path / split / "labels").mkdir()
        cv2.imwrite(str(tmp_path / split / "labels" / f"{split} 图.png"), LABEL)
    arguments = ["--train", tmp_path / "train", "--val", tmp_path / "val", "--candidates", tmp_path / "val"]
    return tmp_path, [str(a) for a in (*arguments, "--class-names", "road", "car", "--out", tmp_path / "out")]


def test_masks_become_annotations_and_unlabelled_pixels_none(folders):
    root, arguments = folders
    folders_task.main([*arguments, "--training", "max_iters=3", "image_size=6x4"])
    coco = json.loads((root / "out" / "in" / "annotations" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["train 图.jpg", "val 图.jpg"]
    drawn = np.full(LABEL.shape, 255)
    for annotation in coco["annotations"]:
        if annotation["image_id"] == 1:
            drawn[coco_mask.decode(annotation["segmentation"]).astype(bool)] = annotation["category_id"] - 1
    np.testing.assert_array_equal(drawn, LABEL)
    config = yaml.safe_load((root / "out" / "training" / "config.yaml").read_text())
    assert (config["max_iters"], config["image_size"], config["class_names"]) == (3, "6x4", ["road", "car"])
    image, annotations = (root / "out" / "in" / "train-index.tsv").read_text(encoding="utf-8").strip().split("\t")
    assert image.endswith("train 图.jpg")
    assert annotations.endswith("coco.json")


def test_an_image_without_a_mask_is_named(folders):
    root, arguments = folders
    (root / "val" / "labels" / "val 图.png").unlink()
    with pytest.raises(SystemExit, match=r"val 图\.jpg has no label mask"):
        folders_task.main(arguments)


def test_the_score_of_a_result_counts_uncovered_pixels_as_wrong(folders, capsys):
    root, arguments = folders
    folders_task.main(arguments)
    predicted = np.array([[0, 1, 1], [0, 1, 255]], np.uint8)
    annotations = [
        {
            "image_id": 7,
            "category_id": 20 - index,
            "segmentation": {
                "size": [2, 3],
                "counts": coco_mask.encode(np.asfortranarray(predicted == index, np.uint8))["counts"].decode(),
            },
        }
        for index in (0, 1)
    ]
    result = {
        "images": [{"id": 7, "file_name": "val 图.jpg", "width": 3, "height": 2}],
        "categories": [{"id": 20, "name": "road"}, {"id": 19, "name": "car"}],
        "annotations": annotations,
    }
    env = root / "out" / "predict" / "env.yaml"
    (env.parent / "out" / "infer-result.json").write_text(json.dumps(result))
    capsys.readouterr()
    score_infer.main(["--task", str(env), "--labels", str(root / "val" / "labels")])
    # road: 1 of 2 found, nothing else taken for it; car: 2 of 3 found, one road pixel taken for it.
    road, car = 1 / 2, 2 / 4
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["road", f"{road:.4f}"], ["car", f"{car:.4f}"], ["mIoU", f"{(road + car) / 2:.4f}"]]
