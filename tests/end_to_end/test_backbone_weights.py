"""A training whose config names weights for the backbone, on a machine without a network."""

import pytest
from torch import save

from mmseg.config import Config
from mmseg.engine.checkpoint import load_checkpoint
from tests.end_to_end.start import run_start
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES

SMALL = {"image_size": "96x64", "crop_size": "64x64", "workers_per_gpu": 0, "max_iters": 2, "interval": 2}
ADDRESS = "open-mmlab://resnet50_v1c"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("backbone")
    write_data(root, train=4, val=2, candidates=2, size=(96, 64))
    return root


@pytest.fixture(scope="module")
def without(root):
    """A finished training without those weights: env.yaml and what was printed."""
    env = write_training_task(root, class_names=CLASSES, cfg_options=f"model.pretrained={ADDRESS}", **SMALL)
    run = run_start(env, YMIR_WEIGHTS_DIR=str(root / "none"), TORCH_HOME=str(root / "torch"))
    assert run.status == 0, run.output
    return env, run.output


def test_without_the_weights_the_training_goes_on_and_says_what_to_put_where(root, without):
    _, output = without
    assert f"backbone begins with random weights, because {ADDRESS} is not here" in output
    assert "put the file resnet50_v1c-2cccc1ad.pth (https://download.openmmlab.com/" in output
    assert f"into the folder {root / 'none'}" in output


def test_the_model_of_such_a_config_needs_nothing_but_itself(root, without):
    env, _ = without
    files = stage_files(env)
    (config,) = [file for file in files if file.endswith(".py")]
    assert Config.fromfile(env.parent / "out" / "models" / config.rpartition("/")[2]).model.pretrained == ADDRESS
    run = run_start(write_predict_task(root, files, class_names=CLASSES, run_mining=False, workers_per_gpu=0))
    assert run.status == 0, run.output
    assert ADDRESS not in run.output


def test_weights_that_were_put_there_are_taken_when_the_task_is_started_again(root, without):
    env, _ = without
    trained = load_checkpoint(env.parent / "out" / "models" / "latest.pth")["state_dict"]
    (root / "weights").mkdir()
    backbone = {key[len("backbone.") :]: value for key, value in trained.items() if key.startswith("backbone.")}
    save(backbone, str(root / "weights" / "resnet50_v1c-2cccc1ad.pth"))
    env = write_training_task(
        root,
        class_names=CLASSES,
        cfg_options=f"model.pretrained={ADDRESS}",
        weights_dir=str(root / "weights"),
        **SMALL,
    )
    run = run_start(env)
    assert run.status == 0, run.output
    assert f"weights of backbone from {root / 'weights' / 'resnet50_v1c-2cccc1ad.pth'}: " in run.output
    assert "random weights" not in run.output
    assert "of another task (other data, hyper-parameters or weights)" in run.output
