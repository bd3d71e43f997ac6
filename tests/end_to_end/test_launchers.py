"""Training in several processes: spawned, and started by torchrun or srun."""

import importlib.util
import os
import signal
import socket
import sys

import pytest
import torch
import yaml

from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.distributed import launch
from tests.end_to_end.running import Running, log_records
from tests.end_to_end.start import ROOT
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_training_task
from tools.street_scenes import CLASSES
from ymir.monitor import Monitor
from ymir.task import read_env, read_task
from ymir.train import train_share

TRAINED = {
    "image_size": "96x64",
    "crop_size": "64x64",
    "samples_per_gpu": 2,
    "workers_per_gpu": 0,
    "max_iters": 4,
    "interval": 2,
    "cfg_options": "log_config.interval=1",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("launchers")
    write_data(root, train=4, val=3, candidates=1, size=(96, 64))
    return root


def losses(env):
    return [(record["iter"], record["loss"]) for record in log_records(env.parent / "out", "train")]


@pytest.fixture(scope="module")
def spawned(root):
    """env.yaml of a training that was done by two processes which one started."""
    env = write_training_task(root, name="two", class_names=CLASSES, **TRAINED)
    task = read_task(read_env(env), {})
    monitor = Monitor(task.env.output.monitor_file, "t")
    launch(train_share, 2, (task, monitor), devices=["cpu", "cpu"])
    return env


def test_two_processes_train_and_leave_one_result(spawned):
    assert all(os.path.isfile(path) for path in stage_files(spawned))
    assert [record["iter"] for record in log_records(spawned.parent / "out", "val")] == [2, 4]


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


HAS_TORCHRUN = importlib.util.find_spec("torch.distributed.run") is not None


def torch_launcher():
    """torchrun, or what torch had in its place before 1.9."""
    if HAS_TORCHRUN:
        return [sys.executable, "-m", "torch.distributed.run"]
    return [sys.executable, "-m", "torch.distributed.launch", "--use_env"]


def by_launcher(env):
    address = ["--nnodes=1", "--nproc_per_node=2", "--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    return [Running(env, [*torch_launcher(), *address, str(ROOT / "start.py")])]


def by_slurm(env):
    port = str(free_port())
    common = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NODELIST": "127.0.0.1",
        "MASTER_PORT": port,
    }
    return [Running(env, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank), **common) for rank in range(2)]


@pytest.mark.parametrize("start", [by_launcher, by_slurm])
def test_a_group_that_a_launcher_started_trains_as_one_that_is_spawned(root, spawned, start):
    env = write_training_task(root, name=start.__name__, class_names=CLASSES, **TRAINED)
    runs = start(env)
    assert [run.finish() for run in runs] == [0] * len(runs), "".join(run.output for run in runs)
    assert losses(env) == losses(spawned)
    assert len(losses(env)) == 4
    assert runs[0].record[2:4] == ["1.000000", "2"]
    a, b = (load_checkpoint(path.parent / "out" / "models" / "latest.pth") for path in (env, spawned))
    assert all(torch.equal(a["state_dict"][key], b["state_dict"][key]) for key in b["state_dict"])


@pytest.mark.parametrize("start", [by_launcher, by_slurm])
def test_a_failure_ends_the_whole_group_with_its_sentence(root, start):
    env = write_training_task(root, name=f"bad-{start.__name__}", class_names=CLASSES, **TRAINED)
    config = env.parent / "config.yaml"
    content = yaml.safe_load(config.read_text())
    # Found by the first process alone, while the others wait for it.
    config.write_text(yaml.safe_dump({**content, "class_names": ["none of these"]}))
    runs = start(env)
    assert all(run.finish() for run in runs)
    assert runs[0].record[3:5] == ["4", "300002"]
    assert "none of which is among class_names" in runs[0].record[5]


@pytest.mark.parametrize("start", [by_launcher, by_slurm])
def test_a_signal_ends_the_whole_group_with_its_state_saved(root, start):
    if start is by_launcher and not HAS_TORCHRUN:
        pytest.skip("the launcher of torch 1.8 answers SIGTERM by killing the processes")
    options = {**TRAINED, "max_iters": 100000, "interval": 100000}
    env = write_training_task(root, name=f"stopped-{start.__name__}", class_names=CLASSES, **options)
    runs = start(env)
    runs[0].wait_until(lambda: len(losses(env)) >= 2)
    runs[-1].signal(signal.SIGTERM)
    assert all(run.finish() for run in runs)
    assert runs[0].record[3:5] == ["4", "160004"]
    iteration = load_checkpoint(env.parent / "out" / "models" / "latest.pth")["meta"]["iter"]
    assert f"stopped by SIGTERM at iteration {iteration}; " in runs[0].record[5]
