"""The executor as the platform runs it: a user without a name or a home, nothing that can be written but /out and /tmp,
no network, little shared memory."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.container.namespace import ROOT, UID, run_inside, unavailable
from tools.demo_data import write_data
from tools.street_scenes import CLASSES

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "namespaces")

CHECK_OUT = ROOT.parent / "shared" / "check_out.py"
TASK = 'bash /app/tools/start.sh || exit $?\n[[ ! -f /in/check_out.py ]] || "$PYTHON" /in/check_out.py /in/env.yaml\n'
SMALL = {"image_size": "64x48", "crop_size": "64x48", "samples_per_gpu": 2, "max_iters": 2, "interval": 2}


def write_task(work: Path, *jobs: str, **config: object) -> None:
    """env.yaml and config.yaml with the paths inside."""
    indexes = [f"{name}_index_file" for name in ("training", "val", "candidate")]
    files = ["/in/train-index.tsv", "/in/val-index.tsv", "/in/candidate-index.tsv"]
    env = {
        "task_id": "t01",
        "protocol_version": "1.1.0",
        **{f"run_{job}": job in jobs for job in ("training", "mining", "infer")},
        "input": {
            "root_dir": "/in",
            "assets_dir": "/in/assets",
            "annotations_dir": "/in/annotations",
            "models_dir": "/in/models",
            "config_file": "/in/config.yaml",
            **dict(zip(indexes, files)),
        },
        "output": {
            "root_dir": "/out",
            "models_dir": "/out/models",
            "tensorboard_dir": "/out/tensorboard",
            "training_result_file": "/out/models/result.yaml",
            "mining_result_file": "/out/result.tsv",
            "infer_result_file": "/out/infer-result.json",
            "monitor_file": "/out/monitor.txt",
            "executor_log_file": "/out/ymir-executor-out.log",
        },
    }
    config = {"class_names": list(CLASSES), "task_id": "t01", "gpu_id": "", "export_format": "seg-coco:raw", **config}
    (work / "in" / "env.yaml").write_text(yaml.safe_dump(env))
    (work / "in" / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with the input of a task, whose paths are those inside."""
    work = tmp_path_factory.mktemp("container")
    write_data(work, train=4, val=1, candidates=3, size=(64, 48))
    for index in (work / "in").glob("*.tsv"):
        index.write_text(index.read_text().replace(str(work), ""))
    if CHECK_OUT.is_file():
        shutil.copy(str(CHECK_OUT), str(work / "in"))
    return work


def assert_done(work, run):
    output = run.stdout.decode("utf-8", "replace")
    assert run.returncode == 0, output
    record = (work / "out" / "monitor.txt").read_text().split("\n")[0].split("\t")
    assert record[2:4] == ["1.000000", "2"], output
    owners = {
        os.lstat(os.path.join(folder, name)).st_uid for folder, _, names in os.walk(str(work / "out")) for name in names
    }
    assert owners == {UID}


def test_the_walls_are_where_they_should_be(tmp_path):
    (tmp_path / "in").mkdir()
    run = run_inside(
        tmp_path,
        "for place in / /in /app /usr /etc /app/mmseg; do touch $place/x 2>/dev/null && echo wrote $place; done\n"
        "touch /out/x /tmp/x && echo wrote out and tmp\n"
        "id -u; whoami 2>/dev/null; echo home=${HOME:-none}\n"
        "cat /proc/net/dev | grep -c : ; (exec 3<>/dev/tcp/1.1.1.1/80) 2>/dev/null && echo network\n"
        "grep -E '^Cap(Eff|Bnd):.*[1-9a-f]' /proc/self/status\n"
        "exit 0\n",
    )
    assert run.returncode == 0, run.stdout.decode()
    assert run.stdout.decode().split() == ["wrote", "out", "and", "tmp", str(UID), "home=none", "1"]


def test_training_then_mining_and_infer(work):
    write_task(work, "training", workers_per_gpu=2, **SMALL)
    assert_done(work, run_inside(work, TASK, shm_size="1m"))
    result = yaml.safe_load((work / "out" / "models" / "result.yaml").read_text())
    names = result["model_stages"]["best"]["files"]
    (work / "in" / "models").mkdir(exist_ok=True)
    for name in names:
        shutil.copy(str(work / "out" / "models" / name), str(work / "in" / "models" / name))
    shutil.rmtree(str(work / "out"))
    files = [f"/in/models/{name}" for name in names]
    write_task(work, "mining", "infer", model_params_path=files, workers_per_gpu=1, max_superpixel_per_image=20)
    assert_done(work, run_inside(work, TASK, shm_size="1m"))
    for name in ("result.tsv", "infer-result.json"):
        assert (work / "out" / name).stat().st_size > 0


def test_too_little_shared_memory_is_survived_or_said(tmp_path):
    write_data(tmp_path, train=4, val=1, candidates=1, size=(256, 192))
    for index in (tmp_path / "in").glob("*.tsv"):
        index.write_text(index.read_text().replace(str(tmp_path), ""))
    sizes = {"image_size": "256x192", "crop_size": "256x192", "samples_per_gpu": 2, "max_iters": 1, "interval": 1}
    write_task(tmp_path, "training", workers_per_gpu=2, **sizes)
    run = run_inside(tmp_path, TASK, shm_size="1m")
    if run.returncode == 0:
        assert_done(tmp_path, run)
        return
    record = (tmp_path / "out" / "monitor.txt").read_text().split("\n")[0].split("\t")
    assert record[3] == "4" and "shm_size" in record[5] and "workers_per_gpu" in record[5], run.stdout.decode()
