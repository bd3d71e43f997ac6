"""Training, then mining and infer with its model, through start.py on generated street scenes."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as rle

from mmseg.config import Config
from mmseg.datasets import read_mask
from tests.end_to_end.start import ROOT, run_start
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES

CHECK_OUT = ROOT.parent / "shared" / "check_out.py"
SMALL = {"image_size": "96x64", "crop_size": "64x64", "samples_per_gpu": 2, "workers_per_gpu": 1, "max_iters": 6}


def assert_keeps_the_contract(env):
    """Where the platform's own checker lies beside the project, it has nothing to say."""
    if CHECK_OUT.is_file():
        command = [sys.executable, str(CHECK_OUT), str(env)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a small data set, under a name that is not ASCII."""
    root = tmp_path_factory.mktemp("任务 1")
    write_data(root, train=6, val=3, candidates=5, size=(96, 64))
    return root


@pytest.fixture(scope="module")
def trained(root):
    """env.yaml of a finished training that keeps every checkpoint."""
    config = {**SMALL, "interval": 2, "save_least_file": "False"}
    env = write_training_task(root, class_names=CLASSES, **config)
    run = run_start(env)
    assert run.status == 0, run.output
    assert run.record[2:] == ["1.000000", "2"]
    return env


def test_training_leaves_what_the_contract_asks_for(trained):
    assert_keeps_the_contract(trained)
    models = trained.parent / "out" / "models"
    result = yaml.safe_load((models / "result.yaml").read_text())
    stages = result["model_stages"]
    assert {"best", "last", "iter_2", "iter_4", "iter_6"} <= set(stages)
    assert result["mIoU"] == max(stage["mIoU"] for stage in stages.values()) > 0
    for stage in stages.values():
        assert all((models / name).is_file() and not (models / name).is_symlink() for name in stage["files"])
    cfg = Config.fromfile(models / "fast_scnn_lr0.12_8x4_160k_cityscapes.py")
    assert cfg.with_blank_area is True
    assert list(cfg.data.test.classes) == ["ymir_background", *CLASSES]
    log = [json.loads(line) for line in (models / "train_log.jsonl").read_text().splitlines()]
    assert [record["iter"] for record in log if record.get("mode") == "val"] == [2, 4, 6]


@pytest.fixture(scope="module")
def predicted(root, trained):
    """env.yaml of finished mining and infer together with the model of that training."""
    env = write_predict_task(
        root,
        stage_files(trained),
        class_names=CLASSES,
        samples_per_gpu=3,
        workers_per_gpu=1,
        max_superpixel_per_image=40,
        max_kept_mining_image=2,
        save_masks=True,
    )
    run = run_start(env)
    assert run.status == 0, run.output
    assert run.record[2:] == ["1.000000", "2"]
    return env


def test_mining_and_infer_together_leave_what_the_contract_asks_for(root, predicted):
    assert_keeps_the_contract(predicted)
    out = predicted.parent / "out"
    ranked = [line.split("\t") for line in (out / "result.tsv").read_text(encoding="utf-8").splitlines()]
    candidates = (root / "in" / "candidate-index.tsv").read_text(encoding="utf-8").splitlines()
    assert sorted(path for path, _ in ranked) == sorted(candidates)
    scores = [float(score) for _, score in ranked]
    assert scores == sorted(scores, reverse=True)
    kept = {Path(path).stem + ".png" for path, _ in ranked[:2]}
    assert {path.name for path in (out / "masks").iterdir()} == kept
    for name in kept:
        mask = cv2.imread(str(out / "masks" / name), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (64, 96)
        assert set(np.unique(mask)) == {0, 255}
    assert not (out / "journal").exists()


def test_background_is_not_among_the_annotations_and_pictures_show_the_same(predicted):
    out = predicted.parent / "out"
    result = json.loads((out / "infer-result.json").read_text(encoding="utf-8"))
    assert [category["name"] for category in result["categories"]] == list(CLASSES)
    for image in result["images"]:
        indices = read_mask(str(out / "predictions" / (Path(image["file_name"]).stem + ".png")))
        expected = np.full((64, 96), 255, np.uint8)
        for annotation in result["annotations"]:
            if annotation["image_id"] == image["id"]:
                expected[rle.decode(annotation["segmentation"]).astype(bool)] = annotation["category_id"] - 1
        np.testing.assert_array_equal(indices, expected)


@pytest.mark.parametrize("jobs", [{"run_infer": False}, {"run_mining": False}])
@pytest.mark.parametrize("batch", [1, 4])
def test_each_job_alone_and_other_batches_give_the_same_files(root, trained, predicted, jobs, batch):
    env = write_predict_task(
        root,
        stage_files(trained),
        name=f"alone-{batch}-{'-'.join(jobs)}",
        class_names=CLASSES,
        samples_per_gpu=batch,
        workers_per_gpu=0,
        max_superpixel_per_image=40,
        max_kept_mining_image=2,
        **jobs,
    )
    run = run_start(env)
    assert run.status == 0, run.output
    both, alone = predicted.parent / "out", env.parent / "out"
    if "run_infer" in jobs:
        read = [[line.split("\t") for line in (out / "result.tsv").read_text().splitlines()] for out in (both, alone)]
        assert [path for path, _ in read[0]] == [path for path, _ in read[1]]
        np.testing.assert_allclose(*[[float(score) for _, score in lines] for lines in read], rtol=1e-4)
        assert not (alone / "infer-result.json").exists()
    else:
        # Another batch size may sum in another order, which turns a pixel or two that were undecided.
        areas = [
            {(a["image_id"], a["category_id"]): a["area"] for a in json.loads(path.read_text())["annotations"]}
            for path in (both / "infer-result.json", alone / "infer-result.json")
        ]
        assert areas[0].keys() == areas[1].keys()
        assert all(abs(areas[0][key] - areas[1][key]) <= 10 for key in areas[0])
        assert not (alone / "result.tsv").exists()


def test_image_size_is_what_the_network_sees_not_what_the_results_have(root, trained, predicted):
    config = {"image_size": "48x32", "class_names": CLASSES, "max_superpixel_per_image": 40}
    env = write_predict_task(root, stage_files(trained), name="small", **config)
    run = run_start(env)
    assert run.status == 0, run.output
    assert_keeps_the_contract(env)
    found = json.loads((env.parent / "out" / "infer-result.json").read_text(encoding="utf-8"))
    assert all((image["width"], image["height"]) == (96, 64) for image in found["images"])
    small, own = (
        [line.split("\t")[1] for line in (path.parent / "out" / "result.tsv").read_text().splitlines()]
        for path in (env, predicted)
    )
    assert small != own


def test_another_training_starts_from_a_model_of_other_classes(root, trained):
    models = trained.parent / "out" / "models"
    env = write_training_task(
        root,
        name="finetune",
        class_names=CLASSES[:3],
        pretrained_model_params=[str(models / "latest.pth")],
        **{**SMALL, "max_iters": 2, "interval": 2, "ignore_blank_area": "true"},
    )
    run = run_start(env)
    assert run.status == 0, run.output
    assert "decode_head.conv_seg.weight" in run.output
    assert_keeps_the_contract(env)
    result = yaml.safe_load((env.parent / "out" / "models" / "result.yaml").read_text())
    assert set(result["model_stages"]) == {"best", "last"}


def test_a_resumed_training_continues_the_curve(root):
    def train(name, options, **config):
        env = write_training_task(
            root,
            name=name,
            class_names=CLASSES,
            cfg_options="log_config.interval=1",
            args_options=f"--seed 3 {options}",
            **{**SMALL, "max_iters": 4, "interval": 2, **config},
        )
        run = run_start(env)
        assert run.status == 0, run.output
        models = env.parent / "out" / "models"
        log = [json.loads(line) for line in (models / "train_log.jsonl").read_text().splitlines()]
        return models, {record["iter"]: record["loss"] for record in log if record.get("mode") == "train"}

    models, whole = train("whole", "", save_least_file=False)
    _, second_half = train("half", f"--resume-from '{models / 'iter_2.pth'}'")
    assert sorted(whole) == [1, 2, 3, 4]
    assert second_half == {iteration: whole[iteration] for iteration in (3, 4)}


def test_without_validation_the_last_weights_are_evaluated_once(root):
    env = write_training_task(
        root, name="no-validate", class_names=CLASSES, args_options="--no-validate", **{**SMALL, "interval": 2}
    )
    run = run_start(env)
    assert run.status == 0, run.output
    assert_keeps_the_contract(env)
    log = (env.parent / "out" / "models" / "train_log.jsonl").read_text().splitlines()
    assert [r["iter"] for r in map(json.loads, log) if r.get("mode") == "val"] == [SMALL["max_iters"]]
