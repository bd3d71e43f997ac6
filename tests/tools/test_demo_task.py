import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools.demo_task import stage_files, write_predict_task, write_training_task
from ymir.results import Stage, write_training_result
from ymir.task import read_env, read_task

COMMAND = Path(__file__).parents[2] / "tools" / "demo_task.py"
NAMES = ["road", "sky"]


@pytest.fixture
def trained(tmp_path):
    """A demo folder with a training task that left two stages, one of them in a folder of its own."""
    env_path = write_training_task(tmp_path, class_names=NAMES)
    models = read_env(env_path).output.models_dir
    (models / "last").mkdir(parents=True)
    for name in ("net.py", "best.pth", "last/latest.pth", "last/net.py"):
        (models / name).write_text(name)
    stages = [
        Stage(name="best", files=("net.py", "best.pth"), timestamp=1, miou=0.5, macc=0.6),
        Stage(name="last", files=("net.py", "latest.pth"), timestamp=2, miou=0.4, macc=0.5),
    ]
    write_training_result(models / "result.yaml", stages, best="best", evaluation={})
    return tmp_path, env_path, models


def test_a_training_task_asks_for_training_alone(tmp_path):
    env = read_env(write_training_task(tmp_path, class_names=NAMES, name="small", gpu_id="0,1", max_iters="12"))
    assert (env.run_training, env.run_mining, env.run_infer) == (True, False, False)
    assert env.output.root_dir == tmp_path / "small" / "out" and env.input.root_dir == tmp_path / "in"
    task = read_task(env, {})
    assert task.gpu_ids == (0, 1) and task.training.max_iters == 12 and task.class_names == tuple(NAMES)
    config = yaml.safe_load((tmp_path / "small" / "config.yaml").read_text(encoding="utf-8"))
    assert config["gpu_count"] == 2 and config["max_iters"] == "12"


@pytest.mark.parametrize(("mining", "infer"), [(True, True), (True, False), (False, True)])
def test_a_predict_task_asks_for_what_is_wanted(tmp_path, mining, infer):
    model = [tmp_path / "net.py", tmp_path / "best.pth"]
    env_path = write_predict_task(tmp_path, model, class_names=NAMES, run_mining=mining, run_infer=infer)
    task = read_task(read_env(env_path), {})
    assert (task.mining is not None, task.infer is not None, task.training) == (mining, infer, None)
    assert task.model_files == tuple(model)


def test_the_files_of_a_stage_are_found_where_the_platform_looks(trained):
    _, env_path, models = trained
    assert stage_files(env_path) == [str(models / "net.py"), str(models / "best.pth")]
    assert stage_files(env_path, "last") == [str(models / "last" / "net.py"), str(models / "last" / "latest.pth")]


def test_a_missing_file_of_a_stage_is_named(trained):
    _, env_path, models = trained
    (models / "best.pth").unlink()
    with pytest.raises(FileNotFoundError, match="best.pth"):
        stage_files(env_path)


def test_the_command_puts_the_trained_model_into_the_predict_task(trained):
    root, _, models = trained
    env_path = write_predict_task(root, class_names=NAMES, topk_superpixel_score=5)
    run = subprocess.run([sys.executable, str(COMMAND), "--root", str(root)], check=True, stdout=subprocess.PIPE)
    task = read_task(read_env(env_path), {})
    assert task.model_files == (models / "net.py", models / "best.pth")
    assert task.mining.topk_superpixel_score == 5, "the rest of the config is kept"
    assert run.stdout.decode().split() == [str(models / "net.py"), str(models / "best.pth")]
