"""What start.py leaves of a task that cannot be done: a return code, a sentence, the traceback, a non-zero exit."""

import shutil

import pytest
import yaml

from tests.end_to_end.start import run_start
from tools.demo_data import write_data
from tools.demo_task import write_predict_task, write_training_task
from tools.street_scenes import CLASSES

SMALL = {"image_size": "64x48", "crop_size": "64x48", "max_iters": 2, "interval": 2, "workers_per_gpu": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_data(root, train=2, val=1, candidates=1, size=(64, 48))
    return root


@pytest.fixture
def root(data, tmp_path):
    """A copy of the data to damage, under paths of its own."""
    shutil.copytree(data / "in", tmp_path / "in")
    for index in (tmp_path / "in").glob("*.tsv"):
        index.write_text(index.read_text().replace(str(data), str(tmp_path)))
    return tmp_path


def assert_failed(run, return_code, *words):
    assert run.status == 1, run.output
    task_id, timestamp, percent, state, code, sentence = run.record
    assert (state, code) == ("4", str(return_code)), sentence
    assert 0 <= float(percent) < 1
    for word in words:
        assert str(word) in sentence
    assert "Traceback" in run.details
    assert f"return code {return_code}: {sentence}" in run.output


def train(root, **config):
    return run_start(write_training_task(root, class_names=CLASSES, **{**SMALL, **config}))


@pytest.mark.parametrize(
    ("config", "return_code", "words"),
    [
        ({"max_iters": "lots"}, 300001, ["max_iters is 'lots', but must be a whole number from 1"]),
        ({"config_file": "configs/none.py"}, 300001, ["config_file is 'configs/none.py'"]),
        ({"cfg_options": "optimizer.type=Magic"}, 300001, ["Magic"]),
        ({"cfg_options": "model.backbone.type=Magic"}, 300001, ["there is no backbone of type 'Magic'"]),
        ({"args_options": "--gpus 2"}, 300001, ["--gpus cannot be set here"]),
        ({"samples_per_gpu": 1}, 300001, ["samples_per_gpu is 1", "at least 2"]),
        ({"gpu_id": "0,63"}, 300102, ["gpu_id asks for GPU 0, 63"]),
        ({"pretrained_model_params": ["best/gone.pth"]}, 300004, ["best/gone.pth, which is not a file"]),
        ({"cfg_options": "optimizer.lr=1e30", "max_iters": 20}, 300201, ["NaN or infinite"]),
    ],
)
def test_a_training_that_cannot_be_done(root, config, return_code, words):
    assert_failed(train(root, **config), return_code, *words)


def test_a_truncated_image(root):
    image = root / "in" / "assets" / "train-000.jpg"
    image.write_bytes(image.read_bytes()[:100])
    assert_failed(train(root), 300003, image)


def test_a_broken_annotation_file(root):
    annotations = root / "in" / "annotations" / "coco.json"
    annotations.write_text(annotations.read_text()[:-100])
    assert_failed(train(root), 300002, annotations, "is not valid JSON")


def test_a_missing_index(root):
    (root / "in" / "val-index.tsv").unlink()
    assert_failed(train(root), 300002, root / "in" / "val-index.tsv")


def predict(root, files=(), **config):
    return run_start(write_predict_task(root, files, class_names=CLASSES, **config))


def test_a_predict_task_without_a_model(root):
    assert_failed(predict(root), 300004, "has no model_params_path")


def test_a_model_file_that_is_no_checkpoint(root):
    (root / "model.py").write_text("model = dict(type='EncoderDecoder')\n")
    (root / "model.pth").write_bytes(b"not a checkpoint")
    run = predict(root, [root / "model.py", root / "model.pth"])
    assert_failed(run, run.record[4])
    assert run.record[4] in ("300001", "300004")


def test_an_env_file_that_is_not_there(tmp_path):
    run = run_start(tmp_path / "env.yaml")
    assert run.status == 1
    assert f"return code 300001: cannot read {tmp_path / 'env.yaml'}" in run.output


def test_a_config_that_is_not_there_still_leaves_a_record(root):
    env = write_predict_task(root, class_names=CLASSES)
    paths = yaml.safe_load(env.read_text())
    (env.parent / "config.yaml").unlink()
    assert_failed(run_start(env), 300001, "cannot read", paths["input"]["config_file"])
