"""Infer and mining that are killed, or meet what they cannot read, and are started again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import yaml

from tests.end_to_end.start import ROOT, run_start
from tools.benchmark.untrained_package import write_untrained_package
from tools.demo_data import write_data
from tools.demo_task import write_predict_task

CLASSES = [f"class-{index}" for index in range(4)]
IMAGES = 31
SETTINGS = {
    "class_names": CLASSES,
    "samples_per_gpu": 2,
    "workers_per_gpu": 0,
    "max_superpixel_per_image": 40,
    "max_kept_mining_image": 9,
}
# A process that shares its work must not use more threads than one that does not.
ENVIRONMENT = {"OMP_NUM_THREADS": "1"}
TWO_PROCESSES = """
import sys
from pathlib import Path
from ymir.monitor import Monitor
from ymir.predict import predict_on
from ymir.task import read_env, read_task

if __name__ == "__main__":
    env = read_env(Path(sys.argv[1]))
    predict_on(["cpu", "cpu"], read_task(env, {}), Monitor(env.output.monitor_file, env.task_id))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("restart")
    write_data(root, train=1, val=1, candidates=IMAGES, size=(96, 64))
    return root


@pytest.fixture(scope="module")
def package(root):
    images = (root / "in" / "candidate-index.tsv").read_text().splitlines()
    return write_untrained_package(root / "package", images[:4], num_classes=len(CLASSES), size=(96, 64))


@pytest.fixture(scope="module")
def undisturbed(root, package):
    env = write_predict_task(root, package, name="undisturbed", **SETTINGS)
    run = run_start(env, **ENVIRONMENT)
    assert run.status == 0, run.output
    return results(env)


def results(env):
    """The content of all files that must not depend on how often the task was started."""
    out = env.parent / "out"
    assert not (out / "journal").exists()
    files = [out / "result.tsv", out / "infer-result.json", *sorted((out / "masks").iterdir())]
    return {path.name: path.read_bytes() for path in files}


def journal_size(env):
    return sum(path.stat().st_size for path in (env.parent / "out" / "journal").glob("*/*.journal"))


def kill(env, when, command=()):
    """Start the task in a process group of its own, kill all of it as soon as `when()` holds, and say whether that came
    before its end."""
    process = subprocess.Popen(
        [sys.executable, *(command or [str(ROOT / "start.py")])],
        env={**os.environ, **ENVIRONMENT, "DEFAULT_ENV_FILE_PATH": str(env), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not when() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    in_time = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return in_time


def reaches(env, size):
    def holds():
        try:
            return journal_size(env) >= size
        except FileNotFoundError:  # the folder is removed at the end
            return False

    return holds


def test_a_task_killed_again_and_again_gives_the_files_of_an_undisturbed_one(root, package, undisturbed):
    env = write_predict_task(root, package, name="killed", **SETTINGS)
    out = env.parent / "out"
    assert kill(env, reaches(env, 1))
    first = journal_size(env)
    assert kill(env, reaches(env, 2 * first + 20_000))
    assert journal_size(env) > first
    # Then with two processes, while the results are being assembled.
    script = root / "two.py"
    script.write_text(TWO_PROCESSES)
    kill(env, lambda: (out / "result.tsv").exists(), [str(script), str(env)])
    run = run_start(env, **ENVIRONMENT)
    assert run.status == 0, run.output
    assert results(env) == undisturbed


def test_torn_tails_are_dropped_and_what_is_whole_is_not_repeated(root, package, undisturbed):
    env = write_predict_task(root, package, name="torn", **SETTINGS)
    assert kill(env, reaches(env, 30_000))
    (path,) = (env.parent / "out" / "journal").glob("*/*.journal")
    path.write_bytes(path.read_bytes()[:-7])
    run = run_start(env, **ENVIRONMENT)
    assert run.status == 0, run.output
    assert "batches are in the journal already" in run.output
    assert results(env) == undisturbed


def test_a_task_with_another_hyper_parameter_begins_anew(root, package, undisturbed):
    env = write_predict_task(root, package, name="changed", **SETTINGS, topk_superpixel_score=5)
    assert kill(env, reaches(env, 30_000))
    write_predict_task(root, package, name="changed", **SETTINGS)
    run = run_start(env, **ENVIRONMENT)
    assert run.status == 0, run.output
    assert "in the journal already" not in run.output
    assert results(env) == undisturbed


def with_own_images(root, name, package, **settings):
    """A task with copies of the candidates; returns env.yaml and the copies in the order of the index."""
    env = write_predict_task(root, package, name=name, **{**SETTINGS, **settings})
    content = yaml.safe_load(env.read_text())
    folder = env.parent / "images"
    folder.mkdir()
    images = [Path(line) for line in Path(content["input"]["candidate_index_file"]).read_text().splitlines()]
    copies = [Path(shutil.copy(str(image), str(folder))) for image in images]
    index = env.parent / "candidate-index.tsv"
    index.write_text("".join(f"{copy}\n" for copy in copies))
    content["input"]["candidate_index_file"] = str(index)
    env.write_text(yaml.safe_dump(content))
    return env, copies


def test_once_a_bad_image_is_repaired_the_task_goes_on(root, package, undisturbed):
    env, copies = with_own_images(root, "repaired", package)
    good = copies[25].read_bytes()
    # Its header and its end are as they should be, so that it is found out when it is decoded.
    damaged = bytearray(cv2.imencode(".png", cv2.imread(str(copies[25])))[1].tobytes())
    pixels = damaged.index(b"IDAT") + 4
    damaged[pixels : pixels + 40] = bytes(40)
    copies[25].write_bytes(damaged)
    run = run_start(env, **ENVIRONMENT)
    assert run.status == 1
    assert run.record[3:5] == ["4", "300003"] and str(copies[25]) in run.record[5]
    copies[25].write_bytes(good)
    run = run_start(env, **ENVIRONMENT)
    assert run.status == 0, run.output
    assert "12 of 16 batches are in the journal already" in run.output
    assert results(env)["infer-result.json"] == undisturbed["infer-result.json"]
