import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg.engine.group_place import GroupPlace
from tests.ymir.task_files import make_task
from ymir.errors import NoGPUError, ParameterError
from ymir.group import first_host, launcher_threads, read_group_place, usable_cores

TORCHRUN = {
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "1",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}
SLURM = {
    "SLURM_JOB_ID": "10042",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "5",
    "SLURM_PROCID": "4",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "2",
    "SLURM_STEP_NODELIST": "gpu[03-04,07]",
    "SLURM_JOB_NODELIST": "gpu[01-09]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
}
CONFIG = {"class_names": ["a"]}


def without(environment, *names):
    return {name: value for name, value in environment.items() if name not in names}


def test_the_place_that_torchrun_gives():
    expected = GroupPlace(3, 1, 4, "node1", 29500, local_world_size=2, has_store=True, attempt="none-1")
    assert read_group_place(TORCHRUN) == expected


def test_the_place_that_the_older_launcher_gives():
    given = {name: TORCHRUN[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    place = read_group_place(given)
    assert (place.local_world_size, place.has_store) == (None, False)


def test_the_place_that_srun_gives():
    place = read_group_place(SLURM)
    assert (place.rank, place.local_rank, place.world_size, place.local_world_size) == (4, 0, 5, 1)
    assert place.address == "gpu03" and 1024 < place.port < 32768 and not place.has_store
    assert read_group_place({**SLURM, "SLURM_PROCID": "0", "SLURM_NODEID": "0"}).local_world_size == 2
    assert read_group_place({**SLURM, "SLURM_JOB_ID": "10043"}).port != place.port
    assert read_group_place({**SLURM, "MASTER_PORT": "5555", "MASTER_ADDR": "10.0.0.1"}).port == 5555
    assert read_group_place(without(SLURM, "SLURM_STEP_NODELIST")).address == "gpu01"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"},
        {**TORCHRUN, "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"},
        {**SLURM, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
        without(SLURM, "SLURM_STEP_ID"),
        {**SLURM, "SLURM_STEP_ID": "batch"},
    ],
)
def test_alone(environment):
    assert read_group_place(environment) is None


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (without(TORCHRUN, "LOCAL_RANK", "MASTER_PORT"), "not LOCAL_RANK and MASTER_PORT"),
        ({**TORCHRUN, "RANK": "4"}, "process 4 of 4"),
        ({**TORCHRUN, "RANK": "one"}, "RANK is 'one'"),
        (without(SLURM, "SLURM_PROCID"), "SLURM_PROCID is ''"),
        ({**SLURM, "SLURM_STEP_NODELIST": "$(reboot)"}, "no list of machines"),
    ],
)
def test_a_launcher_that_says_nonsense(environment, words):
    with pytest.raises(ParameterError) as caught:
        read_group_place(environment)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("a,b", "a"),
        ("node[01-03,07]", "node01"),
        ("node[7,9-12],x", "node7"),
        ("rack[1-2]n[3-4]x,b", "rack1n3x"),
        ("gpu-1.cluster.org", "gpu-1.cluster.org"),
    ],
)
def test_the_first_host(nodes, host):
    assert first_host(nodes) == host


def test_a_task_knows_its_place(tmp_path):
    task = make_task(tmp_path, TORCHRUN, config={**CONFIG, "gpu_id": "0,1"}, run_infer=True)
    assert task.place.rank == 3
    assert make_task(tmp_path, {}, config=CONFIG, run_infer=True).place is None


@pytest.mark.parametrize(
    ("gpu_id", "environment", "error", "words"),
    [
        ("0", TORCHRUN, NoGPUError, "gpu_id is '0', 1 GPU, but the launcher started 2 processes"),
        ("0,1,2", TORCHRUN, ParameterError, "gpu_id is '0,1,2', 3 GPUs, but the launcher started only 2 processes"),
        ("0", without(TORCHRUN, "LOCAL_WORLD_SIZE"), NoGPUError, "at least 2 processes"),
    ],
)
def test_one_process_for_each_gpu(tmp_path, gpu_id, environment, error, words):
    with pytest.raises(error) as caught:
        make_task(tmp_path, environment, config={**CONFIG, "gpu_id": gpu_id}, run_infer=True)
    assert words in str(caught.value)


def test_threads_as_of_a_process_that_is_alone(tmp_path):
    place = read_group_place(TORCHRUN)
    assert launcher_threads(None, {"OMP_NUM_THREADS": "1"}) is None
    assert launcher_threads(place, {"OMP_NUM_THREADS": "3"}) is None
    assert launcher_threads(place, {"OMP_NUM_THREADS": "1"}) is None  # it is no torchrun's process
    assert launcher_threads(place, {}) == usable_cores()
    assert 1 <= usable_cores() <= os.cpu_count()
    task = make_task(tmp_path, TORCHRUN, config=CONFIG, run_infer=True)
    assert task.threads == usable_cores()


# What torchrun does: a process whose environment has what torchrun adds to its own, here with a shell between them.
LAUNCHER = """
import os, subprocess, sys
added = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1", "LOCAL_RANK": "0"}
environment = {"OMP_NUM_THREADS": "1", **os.environ, **added}
subprocess.run(["bash", "-c", '"$0" -c "$1"; exit', sys.executable, sys.argv[1]], env=environment, check=True)
"""
THREADS = """
import os
from ymir.group import launcher_threads, read_group_place
print(launcher_threads(read_group_place(os.environ), os.environ))
"""


@pytest.mark.parametrize(
    ("given", "threads"), [(None, str(usable_cores())), ("1", "None"), ("2", "None")], ids=["torchrun", "user", "two"]
)
def test_who_has_set_the_threads(given, threads):
    environment = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "RANK")}
    if given is not None:
        environment["OMP_NUM_THREADS"] = given
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, THREADS],
        env=environment,
        cwd=str(Path(__file__).resolve().parents[2]),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode().split() == [threads]
