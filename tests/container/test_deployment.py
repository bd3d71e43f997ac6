"""The examples of deployment: what they ask for is what the executor can do without."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "deployment"

# In place of Slurm's: starts the command as often as its job says, on one machine, with the variables of a step.
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do
    [[ "$1" == --ntasks=* ]] && SLURM_NTASKS="${1#--ntasks=}"
    shift
done
for ((process = 0; process < SLURM_NTASKS; process++)); do
    SLURM_NTASKS="$SLURM_NTASKS" SLURM_JOB_ID=4711 SLURM_STEP_ID=0 SLURM_PROCID=$process SLURM_LOCALID=$process \\
        SLURM_NODEID=0 SLURM_STEP_NODELIST='node[1-2]' SLURM_STEP_TASKS_PER_NODE="$SLURM_NTASKS" "$@" || exit 1
done
"""

# In place of the executor: says which process of the group it is, as the executor would find out.
START = f"""
import dataclasses, json, os, sys
sys.path.insert(0, {str(ROOT)!r})
from ymir.group import read_group_place
from ymir.task import env_file
place = read_group_place(os.environ)
print(json.dumps([str(env_file(os.environ)), place and dataclasses.asdict(place)]))
"""


@pytest.fixture
def job(tmp_path):
    """Runs a Slurm script on one machine."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    (tmp_path / "app" / "tools").mkdir(parents=True)
    (tmp_path / "app" / "tools" / "start.sh").write_text((ROOT / "tools" / "start.sh").read_text())
    (tmp_path / "app" / "start.py").write_text(START)

    def run(script, *arguments, tasks):
        environment = {
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "APP_DIR": str(tmp_path / "app"),
            "PYTHON": sys.executable,
            "TMPDIR": str(tmp_path / "tmp"),
            "SLURM_NTASKS": str(tasks),
        }
        command = ["bash", str(FOLDER / script), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, timeout=120)

    return run


def tasks_of(script):
    """How many processes the script's options ask for."""
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", (FOLDER / script).read_text(), re.MULTILINE))
    return int(options["nodes"]) * int(options.get("ntasks-per-node", 1)), int(options["gpus-per-node"])


def test_the_slurm_training_has_one_process_for_each_gpu(job):
    tasks, gpus = tasks_of("training.slurm")
    assert tasks == 2 * gpus
    run = job("training.slurm", "/data/in/env.yaml", tasks=tasks)
    assert run.returncode == 0, run.stderr.decode()
    found = [json.loads(line) for line in run.stdout.decode().splitlines()]
    assert [place["rank"] for _, place in found] == list(range(tasks))
    assert all(place["world_size"] == tasks and place["address"] == "node1" for _, place in found)
    assert {env for env, _ in found} == {"/data/in/env.yaml"}


def test_the_slurm_infer_is_one_process_that_starts_the_others(job):
    assert tasks_of("infer.slurm")[0] == 1
    run = job("infer.slurm", "/data/in/env.yaml", tasks=1)
    assert run.returncode == 0, run.stderr.decode()
    assert [json.loads(line) for line in run.stdout.decode().splitlines()] == [["/data/in/env.yaml", None]]


@pytest.mark.parametrize("script", ["training.slurm", "infer.slurm"])
def test_a_slurm_script_without_a_task_says_what_it_needs(job, script):
    subprocess.run(["bash", "-n", str(FOLDER / script)], check=True)
    run = job(script, tasks=1)
    assert run.returncode != 0 and b"usage: sbatch" in run.stderr


def test_the_compose_file_gives_no_more_than_is_needed():
    (service,) = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())["services"].values()
    mounts = {mount["target"]: mount for mount in service["volumes"]}
    assert set(mounts) == {"/in", "/out"}
    assert mounts["/in"]["read_only"] is True and not mounts["/out"].get("read_only", False)
    assert service["read_only"] is True and service["network_mode"] == "none"
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\$\{USER_ID:-\d+\}:\$\{GROUP_ID:-\d+\}", service["user"])
    (temporary,) = service["tmpfs"]
    assert temporary.startswith("/tmp:") and "exec" in temporary
    assert service["shm_size"] == "8gb"
    assert service["command"] == ["bash", "/usr/bin/start.sh"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]


def test_the_shell_scripts_are_valid():
    for script in [ROOT / "tools" / "start.sh", *FOLDER.glob("*.slurm")]:
        subprocess.run(["bash", "-n", str(script)], check=True)
