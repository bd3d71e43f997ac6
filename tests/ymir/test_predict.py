"""The pass over the candidates, in this process, on images of several sizes."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from mmseg.config import Config
from mmseg.errors import ConfigError, ImageError
from mmseg.torch_compat import TORCH_VERSION
from tools.benchmark.untrained_package import write_untrained_package
from tools.demo_data import write_data
from tools.demo_task import write_predict_task
from ymir.errors import PackageError
from ymir.monitor import Monitor
from ymir.predict import predict
from ymir.task import read_env, read_task

CLASSES = [f"class-{index}" for index in range(3)]
CHECK_OUT = Path(__file__).resolve().parents[2].parent / "shared" / "check_out.py"
SETTINGS = {
    "class_names": CLASSES,
    "samples_per_gpu": 3,
    "workers_per_gpu": 0,
    "max_superpixel_per_image": 20,
    "max_kept_mining_image": 2,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Six candidates, of which the fourth is of another size."""
    root = tmp_path_factory.mktemp("predict")
    write_data(root, train=1, val=1, candidates=6, size=(64, 48))
    other = root / "in" / "assets" / "candidate-003.jpg"
    cv2.imwrite(str(other), cv2.resize(cv2.imread(str(other)), (50, 70)))
    return root


@pytest.fixture(scope="module")
def package(root):
    images = (root / "in" / "candidate-index.tsv").read_text().splitlines()
    return write_untrained_package(root / "package", images[:3], num_classes=len(CLASSES), size=(64, 48))


def predicted(root, package, name, **settings):
    """The output folder of a finished task."""
    return run(write_predict_task(root, package, name=name, **{**SETTINGS, **settings}))


def run(env_path):
    env = read_env(env_path)
    monitor = Monitor(env.output.monitor_file, env.task_id, pause=0)
    predict(read_task(env, {}), monitor)
    monitor.progress(1.0)
    if CHECK_OUT.is_file():
        command = [sys.executable, str(CHECK_OUT), str(env_path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout.decode()
    assert not (env.output.root_dir / "journal").exists()
    return env.output.root_dir


@pytest.fixture(scope="module")
def both(root, package):
    return predicted(root, package, "both")


def leave_half_written(path):
    script = "import os, sys; from ymir.atomic import replacing\nwith replacing(sys.argv[1]): os._exit(0)"
    subprocess.run([sys.executable, "-c", script, str(path)], cwd=str(Path(__file__).resolve().parents[2]), check=True)


def infer_result(out):
    return json.loads((out / "infer-result.json").read_text())


def scores(out):
    return dict(line.split("\t") for line in (out / "result.tsv").read_text().splitlines())


def test_kept_images_have_masks_overlays_and_a_report(both):
    best = [Path(image).stem for image in scores(both)][:2]
    assert {path.name for path in (both / "masks").iterdir()} == {f"{name}.png" for name in best}
    assert {path.name for path in (both / "overlays").iterdir()} == {f"{name}.jpg" for name in best}
    report = (both / "mining-report.html").read_text(encoding="utf-8")
    assert all(f"masks/{name}.png" in report and f"overlays/{name}.jpg" in report for name in best)
    assert "class-2" in report and "RSAL" in report
    assert not (both / "bad-images.tsv").exists()


def test_overlays_are_left_out_on_demand(root, package):
    out = predicted(root, package, "no-overlays", run_infer=False, save_overlays=False)
    assert not (out / "overlays").exists() and len(list((out / "masks").iterdir())) == 2


def test_what_killed_processes_left_half_written_is_removed(root, package):
    env_path = write_predict_task(root, package, name="half-written", **{**SETTINGS, "save_masks": True})
    out = env_path.parent / "out"
    for path in (out / "infer-result.json", *(out / folder / "x.png" for folder in ("predictions", "masks"))):
        leave_half_written(path)
    assert len(list(out.rglob(".*"))) == 3
    run(env_path)
    assert (out / "infer-result.json").is_file() and list(out.rglob(".*")) == []


def test_every_job_gives_the_same_alone_and_with_the_other(root, package, both):
    infer = predicted(root, package, "infer", run_mining=False)
    assert (infer / "infer-result.json").read_bytes() == (both / "infer-result.json").read_bytes()
    mining = predicted(root, package, "mining", run_infer=False)
    assert (mining / "result.tsv").read_bytes() == (both / "result.tsv").read_bytes()


@pytest.mark.parametrize(
    "mining", [{"disagreement": "flip"}, {"mining_algorithm": "coreset"}, {"mining_algorithm": "RIPU"}]
)
def test_infer_does_not_depend_on_how_mining_is_done(root, package, both, mining):
    out = predicted(root, package, "-".join(mining.values()), **mining)
    assert (out / "infer-result.json").read_bytes() == (both / "infer-result.json").read_bytes()
    assert (out / "result.tsv").read_bytes() != (both / "result.tsv").read_bytes()
    # RIPU's records hold the best windows of an image alone, which say nothing about all of the pool.
    of_the_pool = "its share in the whole pool" in (out / "mining-report.html").read_text(encoding="utf-8")
    assert of_the_pool == ("RIPU" not in mining.values())


def test_mining_does_not_depend_on_the_views_of_infer(root, package, both):
    out = predicted(root, package, "augmented", aug_test=True)
    assert (out / "result.tsv").read_bytes() == (both / "result.tsv").read_bytes()
    assert infer_result(out)["images"] == infer_result(both)["images"]
    assert infer_result(out)["annotations"] != infer_result(both)["annotations"]


def test_aug_test_means_six_scales_and_their_mirror_images(root, package):
    config_file, weights = package
    cfg = Config.fromfile(config_file)
    (views,) = [transform for transform in cfg.data.test.pipeline if transform["type"] == "MultiScaleFlipAug"]
    views.update(img_ratios=[0.5, 0.75, 1.0, 1.25, 1.5, 1.75], flip=True)
    by_hand = root / "package" / "by_hand.py"
    cfg.dump(by_hand)
    expected = predicted(root, [by_hand, weights], "by-hand", run_mining=False)
    found = predicted(root, package, "by-parameter", run_mining=False, aug_test=True)
    assert (found / "infer-result.json").read_bytes() == (expected / "infer-result.json").read_bytes()


def test_aug_test_needs_a_pipeline_with_views(root, package):
    config_file, weights = package
    cfg = Config.fromfile(config_file)
    (views,) = [transform for transform in cfg.data.test.pipeline if transform["type"] == "MultiScaleFlipAug"]
    resize = {"type": "Resize", "img_scale": (64, 48), "keep_ratio": False}
    cfg.data.test.pipeline = [cfg.data.test.pipeline[0], resize, *views["transforms"][2:]]
    without = root / "package" / "without.py"
    cfg.dump(without)
    with pytest.raises(PackageError, match="aug_test is True, but .*MultiScaleFlipAug"):
        predicted(root, [without, weights], "no-views", run_mining=False, aug_test=True)


def test_superpixels_on_the_device_of_the_network(root, package):
    out = predicted(root, package, "torch", run_infer=False, superpixel_backend="torch")
    for path in (out / "masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(mask)) == {0, 255}


def class_areas(out):
    return {(a["image_id"], a["category_id"]): a["area"] for a in infer_result(out)["annotations"]}


def changed_pixels(one, other):
    """The share of pixels that must be of another class, seen from the classes' areas."""
    areas = class_areas(one), class_areas(other)
    return sum(abs(areas[0].get(key, 0) - areas[1].get(key, 0)) for key in {*areas[0], *areas[1]}) / (6 * 64 * 48)


@pytest.mark.skipif(TORCH_VERSION < (1, 10), reason="this torch has no bfloat16 on a CPU")
def test_bfloat16_changes_little(root, package, both):
    out = predicted(root, package, "bf16", bf16=True)
    assert scores(out).keys() == scores(both).keys() and scores(out) != scores(both)
    assert 0 < changed_pixels(out, both) < 0.1


def test_half_precision_is_for_gpus(root, package, both):
    out = predicted(root, package, "no-fp16", fp16=False)
    assert (out / "result.tsv").read_bytes() == (both / "result.tsv").read_bytes()


def spoil(root, package, name, spoilers, **settings):
    """A task with copies of the candidates, some of them spoiled; returns env.yaml and the copies."""
    env = write_predict_task(root, package, name=name, **{**SETTINGS, **settings})
    content = yaml.safe_load(env.read_text())
    folder = env.parent / "images"
    folder.mkdir()
    index = Path(content["input"]["candidate_index_file"])
    copies = [Path(shutil.copy(line, str(folder))) for line in index.read_text().splitlines()]
    for position, spoiler in spoilers.items():
        spoiler(copies[position])
    index = env.parent / "candidate-index.tsv"
    index.write_text("".join(f"{copy}\n" for copy in copies))
    content["input"]["candidate_index_file"] = str(index)
    env.write_text(yaml.safe_dump(content))
    return env, copies


def empty(path):
    path.write_bytes(b"")


def enlarge(path):
    cv2.imwrite(str(path), np.zeros((200, 300, 3), np.uint8))


def damage(path):
    """Leave a header and an end that are as they should be, and pixels that cannot be decoded."""
    content = bytearray(cv2.imencode(".png", cv2.imread(str(path)))[1].tobytes())
    pixels = content.index(b"IDAT") + 4
    content[pixels : pixels + 40] = bytes(40)
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def test_bad_images_are_skipped_listed_and_ranked_last(root, package, caplog):
    settings = {"on_bad_image": "skip", "max_image_pixels": 10_000, "save_masks": True}
    env, copies = spoil(root, package, "skip", {0: empty, 2: cut, 4: enlarge, 5: Path.unlink}, **settings)
    with caplog.at_level(logging.WARNING):
        out = run(env)
    bad = [str(copies[position]) for position in (0, 2, 4, 5)]
    assert f"4 of 6 images cannot be read, see {out / 'bad-images.tsv'}" in caplog.text
    listed = [line.split("\t") for line in (out / "bad-images.tsv").read_text().splitlines()]
    assert [image for image, _ in listed] == bad
    assert all(
        word in reason for word, (_, reason) in zip(("empty", "truncated", "max_image_pixels", "No such file"), listed)
    )
    ranked = [(image, float(score)) for image, score in scores(out).items()]
    assert [image for image, _ in ranked[2:]] == bad
    assert max(score for _, score in ranked[2:]) < min(score for _, score in ranked[:2])
    result = infer_result(out)
    sizes = {image["file_name"]: (image["width"], image["height"]) for image in result["images"]}
    assert [sizes[Path(image).name] for image in bad] == [(0, 0), (64, 48), (300, 200), (0, 0)]
    ids = {image["id"] for image in result["images"] if str(copies[0].parent / image["file_name"]) in bad}
    assert not ids & {annotation["image_id"] for annotation in result["annotations"]}
    assert len(list((out / "predictions").iterdir())) == 2
    # What an earlier task of this folder left does not stay.
    for position in (0, 2, 4, 5):
        shutil.copy(str(copies[1]), str(copies[position]))
    run(env)
    assert not (out / "bad-images.tsv").exists()


def test_images_that_could_be_read_keep_their_results(root, package, both):
    env, copies = spoil(root, package, "others", {4: empty, 5: damage}, on_bad_image="skip", samples_per_gpu=2)
    found = infer_result(run(env))
    expected = infer_result(predicted(root, package, "pairs", samples_per_gpu=2))
    assert found["annotations"] == [a for a in expected["annotations"] if a["image_id"] <= 4]


def test_a_bad_image_fails_the_task_unless_it_may_be_skipped(root, package):
    env, copies = spoil(root, package, "fail", {2: damage})
    with pytest.raises(ImageError, match=copies[2].name):
        run(env)


def test_where_no_image_can_be_read_the_task_fails(root, package):
    env, copies = spoil(root, package, "all-bad", dict.fromkeys(range(6), damage), on_bad_image="skip")
    with pytest.raises(ImageError, match="none of the 6 candidates can be read"):
        run(env)
    # And looks again when it is started again.
    shutil.copy(str(root / "in" / "assets" / copies[1].name), str(copies[1]))
    ranked = list(scores(run(env)))
    assert ranked[0] == str(copies[1]) and len(ranked) == 6


def test_dropout_needs_a_network_with_dropout(root, package):
    config_file, weights = package
    cfg = Config.fromfile(config_file)
    cfg.model.decode_head.dropout_ratio = 0.0
    without = root / "package" / "without_dropout.py"
    cfg.dump(without)
    with pytest.raises(ConfigError, match="no dropout"):
        predicted(root, [without, weights], "no-dropout", run_infer=False, disagreement="dropout")
