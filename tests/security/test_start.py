"""Strangers' packages through start.py itself: the record says what was refused, and nothing was executed."""

import json
import logging
import os
import struct

import cv2
import numpy as np
import pytest
import torch

from start import PrintableFormatter
from tests.end_to_end.start import run_start
from tests.security.hostile_checkpoints import HOSTILE_CHECKPOINTS, rebuilt_tensor, text, weights, write_zip
from tests.security.hostile_configs import HOSTILE_CONFIGS
from tests.security.test_configs import SECRET, write_package
from tests.security.test_yaml import BOMB
from tools.demo_task import write_predict_task

SOUND_CONFIG = """
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='FastSCNN'),
    decode_head=dict(type='FCNHead', in_channels=128, in_index=-1, channels=8, num_classes=2))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(32, 32), flip=False, transforms=[
        dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'),
        dict(type='Normalize', mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True),
        dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])])]
"""


@pytest.fixture
def root(tmp_path):
    """A task's input of one image."""
    (tmp_path / "in" / "assets").mkdir(parents=True)
    (tmp_path / "package").mkdir()
    image = tmp_path / "in" / "assets" / "a.png"
    cv2.imwrite(str(image), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "in" / "candidate-index.tsv").write_text(f"{image}\n")
    return tmp_path


def infer(root, package):
    files = [package / "model.py", package / "model.pth"]
    env = write_predict_task(root, files, class_names=["a", "b"], run_mining=False, workers_per_gpu=0)
    return env, run_start(env)


@pytest.mark.parametrize("name", ["os.system", "base that is a link to outside"])
def test_a_hostile_config(name, root):
    package, canary = root / "package", root / "canary"
    write_package(package, HOSTILE_CONFIGS[name], canary)
    torch.save({"state_dict": {"w": torch.zeros(1)}}, str(package / "model.pth"))
    _, run = infer(root, package)
    assert (run.status, run.record[3], run.record[4]) == (1, "4", "300001"), run.output
    assert str(package / "model.py") in run.record[5] and SECRET not in run.output
    assert not canary.exists()


@pytest.mark.parametrize("name", ["os.system, legacy", "nested pickle", "deep tuples as a key"])
def test_a_hostile_checkpoint(name, root):
    package, canary = root / "package", root / "canary"
    (package / "model.py").write_text(SOUND_CONFIG)
    HOSTILE_CHECKPOINTS[name](package / "model.pth", str(canary))
    _, run = infer(root, package)
    assert (run.status, run.record[3], run.record[4]) == (1, "4", "300004"), run.output
    assert str(package / "model.pth") in run.record[5]
    assert not canary.exists()


def test_names_in_a_package_cannot_steer_a_terminal_or_hide_the_failure(root):
    """A lone surrogate cannot be written as UTF-8, and the record must be written all the same."""
    (root / "package" / "model.py").write_text(SOUND_CONFIG)
    spelled = "a\x1b[2J\x07\n\ud800\0xyz".encode("utf-8", "surrogatepass")
    key = struct.pack("<cI", b"X", len(spelled)) + spelled
    write_zip(root / "package" / "model.pth", weights(rebuilt_tensor()).replace(text("w"), key))
    _, run = infer(root, root / "package")
    assert (run.status, run.record[3], run.record[4]) == (1, "4", "300004"), run.output
    assert r"a\x1b[2J\x07 \ud800\x00xyz" in run.record[5]
    assert "\x1b" not in run.output + run.details


def test_a_package_of_links_and_foreign_paths_is_used_for_its_weights_alone(root):
    """The platform mounts links; and paths to files in the config are never followed, so that it does its work."""
    from mmseg.apis import init_segmentor
    from mmseg.config import Config
    from mmseg.engine.checkpoint import save_checkpoint

    package, elsewhere = root / "package", root / "elsewhere"
    elsewhere.mkdir()
    trap = root / "trap"
    os.mkfifo(str(trap))  # who opens it waits for ever
    (package / "model.py").write_text(
        SOUND_CONFIG
        + f"load_from = resume_from = {str(trap)!r}\nwork_dir = '/'\n"
        + f"data = dict(test=dict(type='IndexDataset', index_file={str(trap)!r}, data_root={str(trap)!r}))\n"
        + f"model['pretrained'] = {str(trap)!r}\n"
        + f"model['decode_head']['init_cfg'] = dict(type='Pretrained', checkpoint={str(trap)!r})\n"
        + "custom_hooks = [dict(type='os.system')]\n"
    )
    model = init_segmentor(Config.fromstring(SOUND_CONFIG))
    save_checkpoint(elsewhere / "weights", model=model, meta={"CLASSES": ["a", "b"]})
    (package / "model.pth").symlink_to(elsewhere / "weights")
    env, run = infer(root, package)
    assert run.status == 0, run.output
    result = json.loads((env.parent / "out" / "infer-result.json").read_text())
    assert [image["file_name"] for image in result["images"]] == ["a.png"]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("data = dict(test=dict(classes=[['a'], 3]))", "300004", "must be names"),
        ("data = 5", "300004", "has a int as 'data'"),
        ("model = dict(type='x' * 100000)", "300001", "there is no segmentor of type 'xxx"),
    ],
)
def test_a_package_of_wrong_types_ends_in_a_sentence(line, code, words, root):
    from mmseg.apis import init_segmentor
    from mmseg.config import Config
    from mmseg.engine.checkpoint import save_checkpoint

    save_checkpoint(root / "package" / "model.pth", model=init_segmentor(Config.fromstring(SOUND_CONFIG)), meta={})
    (root / "package" / "model.py").write_text(f"{SOUND_CONFIG}{line}\n")
    _, run = infer(root, root / "package")
    assert (run.status, run.record[4]) == (1, code), run.output
    assert words in run.record[5] and len(run.record[5]) < 3000


def test_a_config_yaml_whose_aliases_multiply(root):
    env = write_predict_task(root, class_names=["a"], run_mining=False)
    (env.parent / "config.yaml").write_text(BOMB.replace("a9: &a9", "class_names: &a9"))
    run = run_start(env)
    assert (run.status, run.record[4]) == (1, "300001"), run.output
    assert "config.yaml cannot be used" in run.record[5]


def test_the_log_does_not_steer_the_terminal():
    record = logging.LogRecord("mmseg", logging.INFO, "", 0, "left out: %s\n\tand others", ("a\x1b[2J",), None)
    assert PrintableFormatter("%(levelname)s %(message)s").format(record) == "INFO left out: a\\x1b[2J\n\tand others"
