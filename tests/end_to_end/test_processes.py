"""Several processes, and processes that are killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from tests.end_to_end.start import ROOT, run_start
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES
from ymir.monitor import Monitor
from ymir.predict import predict_on
from ymir.task import read_env, read_task

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


def results(env_path, processes):
    """The result files of a predict task, worked on by so many processes."""
    env = read_env(env_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        predict_on(["cpu"] * processes, read_task(env, {}), Monitor(env.output.monitor_file, env.task_id))
    finally:
        torch.set_num_threads(threads)
    masks = sorted((env.output.root_dir / "masks").iterdir())
    files = [env.output.mining_result_file, env.output.infer_result_file, *masks]
    return {path.name: path.read_bytes() for path in files}


def test_two_processes_predict_the_same_as_one(root, killed):
    # Five images in batches of two: neither shares nor batches are even.
    env = write_predict_task(
        root, stage_files(killed), name="shared", class_names=CLASSES, samples_per_gpu=2, workers_per_gpu=1
    )
    one = results(env, 1)
    assert len(one) == 2 + 5
    assert results(env, 2) == one
