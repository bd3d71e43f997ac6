"""Several processes, and processes that are killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from mmseg.engine.distributed import launch
from tests.end_to_end.start import ROOT, run_start
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES
from ymir.dataset import convert_annotations
from ymir.journal import Journal
from ymir.monitor import Monitor, Share
from ymir.package import find_package
from ymir.predict import build_jobs, predict_share
from ymir.task import read_env, read_task
from ymir.train import train_share
from ymir.training_arguments import TrainingArguments
from ymir.training_config import resolve_training_config

SMALL = {"image_size": "96x64", "crop_size": "64x64", "samples_per_gpu": 2, "workers_per_gpu": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("processes")
    write_data(root, train=4, val=3, candidates=5, size=(96, 64))
    return root


@pytest.fixture(scope="module")
def killed(root):
    """env.yaml of a training that was killed some time after its first evaluation."""
    env = write_training_task(root, class_names=CLASSES, **{**SMALL, "max_iters": 100000, "interval": 2})
    environment = {**os.environ, "DEFAULT_ENV_FILE_PATH": str(env)}
    process = subprocess.Popen([sys.executable, str(ROOT / "start.py")], env=environment, stdout=subprocess.DEVNULL)
    result = env.parent / "out" / "models" / "result.yaml"
    deadline = time.monotonic() + 120
    while not result.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return env


def test_a_killed_training_leaves_a_usable_model(root, killed):
    result = yaml.safe_load((killed.parent / "out" / "models" / "result.yaml").read_text())
    assert {"best", "last"} <= set(result["model_stages"])
    for stage in ("best", "last"):
        env = write_predict_task(root, stage_files(killed, stage), name=f"from-{stage}", class_names=CLASSES)
        run = run_start(env)
        assert run.status == 0, run.output


def assembled(env_path, processes):
    """The result files of a predict task, worked on by so many processes."""
    env = read_env(env_path)
    task = read_task(env, {})
    images = env.input.candidate_index_file.read_text().splitlines()
    journals = env.output.root_dir / f"journal-{processes}"
    monitor = Monitor(env.output.monitor_file, env.task_id)
    package = find_package(task.model_files)
    launch(predict_share, processes, (task, package, images, journals, monitor), devices=["cpu"] * processes)
    assert len(list(journals.iterdir())) == processes
    for job in build_jobs(task):
        job.assemble(Journal(sorted(journals.iterdir())), images, Share(monitor, 0.9, 1.0))
    return env.output.mining_result_file.read_bytes(), env.output.infer_result_file.read_bytes()


def test_two_processes_predict_the_same_as_one(root, killed):
    env = write_predict_task(
        root, stage_files(killed), name="shared", class_names=CLASSES, samples_per_gpu=1, workers_per_gpu=0
    )
    assert assembled(env, 2) == assembled(env, 1)


def test_two_processes_train_and_leave_one_result(root):
    env = write_training_task(root, name="two", class_names=CLASSES, **{**SMALL, "max_iters": 2, "interval": 1})
    task = read_task(read_env(env), {})
    arguments = TrainingArguments()
    cfg = resolve_training_config(task, convert_annotations(task, lambda _: None), arguments)
    cfg.dump(task.env.output.models_dir / "model.py")
    monitor = Monitor(task.env.output.monitor_file, "t")
    launch(train_share, 2, (task, cfg, arguments, None, "model.py", monitor), devices=["cpu", "cpu"])
    assert all(os.path.isfile(path) for path in stage_files(env))
    log = (task.env.output.models_dir / "train_log.jsonl").read_text()
    assert log.count('"mode": "val"') == 2
