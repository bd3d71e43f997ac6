import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from tests.tools.test_demo_coco import decode
from tools.demo_data import write_data
from tools.street_scenes import CLASSES, UNLABELLED
from ymir.index import read_candidate_index
from ymir.task import read_env, read_task

COMMAND = Path(__file__).parents[2] / "tools" / "demo_data.py"
TRAIN, VAL, CANDIDATES = 3, 2, 2


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo folder, written by the command in a folder that is not the project's."""
    root = tmp_path_factory.mktemp("demo data ü")
    sizes = ["--train", str(TRAIN), "--val", str(VAL), "--candidates", str(CANDIDATES), "--size", "64x48"]
    changes = ["--training", "max_iters=7", "--predict", "mining_algorithm=RIPU", "--seed", "4"]
    command = [sys.executable, str(COMMAND), "--out", "out put", *sizes, *changes]
    subprocess.run(command, check=True, cwd=root, stdout=subprocess.DEVNULL)
    return root / "out put"


def index(demo, name):
    return [line.split("\t") for line in (demo / "in" / f"{name}-index.tsv").read_text(encoding="utf-8").splitlines()]


def labels_from_coco(demo):
    """File name of each annotated image to its label, by what the annotations say."""
    coco = json.loads((demo / "in" / "annotations" / "coco.json").read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    labels = {}
    for image in coco["images"]:
        label = np.full((image["height"], image["width"]), UNLABELLED)
        for annotation in coco["annotations"]:
            if annotation["image_id"] == image["id"] and names[annotation["category_id"]] in CLASSES:
                label[decode(annotation["segmentation"], label.shape)] = CLASSES.index(names[annotation["category_id"]])
        labels[os.path.basename(image["file_name"])] = label
    return coco, labels


def test_index_files_name_images_that_are_there_by_absolute_paths(demo):
    assert [len(index(demo, name)) for name in ("train", "val", "candidate")] == [TRAIN, VAL, CANDIDATES]
    annotations = {line[1] for name in ("train", "val") for line in index(demo, name)}
    assert annotations == {str(demo / "in" / "annotations" / "coco.json")}
    pictures = [Path(line[0]) for name in ("train", "val", "candidate") for line in index(demo, name)]
    assert all(path.is_absolute() and cv2.imread(str(path)).shape == (48, 64, 3) for path in pictures)
    assert len({path.read_bytes() for path in pictures}) == TRAIN + VAL + CANDIDATES


def test_the_annotations_are_of_the_kinds_a_platform_may_send(demo):
    coco, labels = labels_from_coco(demo)
    file_names = [image["file_name"] for image in coco["images"]]
    assert any(os.path.isabs(name) for name in file_names) and any(not os.path.isabs(name) for name in file_names)
    indexed = {os.path.basename(line[0]) for name in ("train", "val") for line in index(demo, name)}
    assert indexed < set(labels), "every indexed image is annotated, and so is one that is not in an index"
    categories = {category["name"]: category["id"] for category in coco["categories"]}
    assert set(categories) > set(CLASSES)
    assert [categories[name] for name in CLASSES] != sorted(categories[name] for name in CLASSES)
    assert categories["other"] in {annotation["category_id"] for annotation in coco["annotations"]}
    ids = [annotation["id"] for annotation in coco["annotations"]]
    assert len(set(ids)) == len(ids)


def test_each_split_shows_every_class_and_unlabelled_pixels(demo):
    _, labels = labels_from_coco(demo)
    for split in ("train", "val"):
        seen = np.concatenate([labels[os.path.basename(line[0])].ravel() for line in index(demo, split)])
        assert set(np.unique(seen)) == {*range(len(CLASSES)), UNLABELLED}


def test_the_candidates_have_labels_beside_the_task(demo):
    for (path,) in index(demo, "candidate"):
        label = cv2.imread(str(demo / "in" / "candidate-labels" / f"{Path(path).stem}.png"), cv2.IMREAD_UNCHANGED)
        assert label.shape == (48, 64) and set(np.unique(label)) <= {*range(len(CLASSES)), UNLABELLED}


def test_the_executor_accepts_both_tasks(demo):
    training = read_task(read_env(demo / "training" / "env.yaml"), {})
    assert training.class_names == CLASSES and training.gpu_ids == () and training.warnings == ()
    assert training.training.max_iters == 7 and training.training.size == (64, 48)
    predict = read_task(read_env(demo / "predict" / "env.yaml"), {})
    assert predict.mining.mining_algorithm == "RIPU" and predict.infer is not None and predict.warnings == ()
    assert read_candidate_index(predict.env.input.candidate_index_file) == [
        line[0] for line in index(demo, "candidate")
    ]


def test_what_is_written_depends_on_the_seed_alone(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_data(tmp_path / name, train=1, val=1, candidates=1, seed=seed, size=(48, 36))

    def content(name):
        files = sorted((tmp_path / name).rglob("*.[jp][pn]g"))
        return {path.relative_to(tmp_path / name).as_posix(): path.read_bytes() for path in files}

    assert content("a") == content("b") and len(content("a")) == 5
    assert content("a").keys() == content("c").keys()
    assert all(content("a")[name] != content("c")[name] for name in content("a"))


@pytest.mark.parametrize("wrong", [["--size", "64"], ["--training", "max_iters"]])
def test_wrong_arguments_are_named(tmp_path, wrong):
    command = [sys.executable, str(COMMAND), "--out", str(tmp_path / "out"), *wrong]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2 and repr(wrong[1]) in run.stderr
    assert not (tmp_path / "out").exists()


def test_config_yaml_holds_what_the_platform_fills_in(demo):
    config = yaml.safe_load((demo / "training" / "config.yaml").read_text(encoding="utf-8"))
    env = yaml.safe_load((demo / "training" / "env.yaml").read_text(encoding="utf-8"))
    filled_in = {key: config[key] for key in ("class_names", "task_id", "gpu_id", "gpu_count", "object_type")}
    names = list(CLASSES)
    assert filled_in == dict(class_names=names, task_id=env["task_id"], gpu_id="", gpu_count=0, object_type=3)
    assert config["export_format"] == "seg-coco:raw"
