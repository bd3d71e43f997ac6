"""A training that is killed and started again."""

import logging
import re

import pytest
import torch
import yaml

from mmseg.engine.checkpoint import load_checkpoint
from tests.end_to_end.running import Running, iterations, log_records
from tools.demo_data import write_data
from tools.demo_task import write_training_task
from tools.street_scenes import CLASSES
from ymir.training.resume import FINGERPRINT_KEY, find_own_checkpoint

SMALL = {
    "image_size": "96x64",
    "crop_size": "64x64",
    "samples_per_gpu": 2,
    "workers_per_gpu": 1,
    "max_iters": 60,
    "interval": 8,
    "cfg_options": "log_config.interval=1",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("restart")
    write_data(root, train=4, val=3, candidates=1, size=(96, 64))
    return root


def task(root, name, **config):
    return write_training_task(root, name=name, class_names=CLASSES, **{**SMALL, **config})


@pytest.fixture(scope="module")
def undisturbed(root):
    """The output folder of a training that nothing disturbed, and its env.yaml."""
    env = task(root, "undisturbed")
    run = Running(env)
    assert run.finish() == 0, run.output
    return run.out, env


def result(out):
    """result.yaml without its times."""
    content = yaml.safe_load((out / "models" / "result.yaml").read_text())
    for stage in content["model_stages"].values():
        del stage["timestamp"]
    return content


def assert_same_training(out, expected):
    for mode in ("train", "val"):
        assert log_records(out, mode) == log_records(expected, mode)
    assert result(out) == result(expected)
    names = ("latest.pth", result(expected)["model_stages"]["best"]["files"][1])
    for name in names:
        ours, theirs = (load_checkpoint(folder / "models" / name)["state_dict"] for folder in (out, expected))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert not (out / "models" / "resume.pth").exists()


def test_two_kills_leave_no_trace(root, undisturbed):
    env = task(root, "killed")
    for reached in (11, 27):
        run = Running(env)
        run.wait_until(lambda reached=reached, out=run.out: iterations(out) >= reached)
        run.kill()
    killed_at = iterations(run.out)
    run = Running(env)
    assert run.finish() == 0, run.output
    assert_same_training(run.out, undisturbed[0])
    starts = [record["iter"] for record in log_records(run.out, "start")]
    assert starts[0] == 0 and len(starts) == 3
    assert starts[1] >= 8 and starts[2] >= 24 and starts[2] <= killed_at


def test_a_finished_training_is_left_as_it_is(undisturbed):
    out, env = undisturbed
    weights = sorted((out / "models").glob("*.pth"))
    before = [path.stat().st_mtime_ns for path in weights], result(out), log_records(out, "train", "val")
    run = Running(env)
    assert run.finish() == 0, run.output
    assert ([path.stat().st_mtime_ns for path in weights], result(out), log_records(out, "train", "val")) == before
    assert run.record[2:4] == ["1.000000", "2"]


def test_another_task_begins_anew(root):
    env = task(root, "other", max_iters=4, interval=2)
    run = Running(env)
    assert run.finish() == 0, run.output
    first = load_checkpoint(run.out / "models" / "latest.pth")["meta"]
    task(root, "other", max_iters=4, interval=2, args_options="--seed 5")
    run = Running(env)
    assert run.finish() == 0, run.output
    assert "of another task" in run.output
    second = load_checkpoint(run.out / "models" / "latest.pth")["meta"]
    assert (first["seed"], second["seed"]) == (0, 5)
    assert first[FINGERPRINT_KEY] != second[FINGERPRINT_KEY]
    assert [record["iter"] for record in log_records(run.out, "train")] == [1, 2, 3, 4]
    # Files of the other task are only replaced.
    annotations = root / "in" / "annotations" / "coco.json"
    before = annotations.read_text()
    annotations.write_text(before + "\n")
    run = Running(env)
    assert run.finish() == 0, run.output
    assert "of another task" in run.output
    annotations.write_text(before)


def test_a_damaged_checkpoint_gives_way_to_the_best(undisturbed, tmp_path, caplog):
    models = undisturbed[0] / "models"
    best = next(models.glob("best_*.pth"))
    wanted = load_checkpoint(best)["meta"][FINGERPRINT_KEY]
    (tmp_path / best.name).write_bytes(best.read_bytes())
    (tmp_path / "latest.pth").write_bytes((models / "latest.pth").read_bytes()[:100000])
    with caplog.at_level(logging.WARNING):
        assert find_own_checkpoint(tmp_path, wanted) == tmp_path / best.name
    assert "latest.pth" in caplog.text and "of no use" in caplog.text
    assert find_own_checkpoint(tmp_path, "0" * 64) is None
    assert re.search(r"best_mIoU_iter_\d+\.pth of another task", caplog.text)


def test_a_checkpoint_of_no_task_is_taken_only_where_that_is_asked_for(undisturbed, tmp_path):
    content = load_checkpoint(undisturbed[0] / "models" / "latest.pth")
    del content["meta"][FINGERPRINT_KEY]
    torch.save(content, tmp_path / "latest.pth")
    assert find_own_checkpoint(tmp_path, "0" * 64) is None
    assert find_own_checkpoint(tmp_path, "0" * 64, any_without_name=True) == tmp_path / "latest.pth"


def test_the_newer_of_latest_and_resume_is_chosen(tmp_path):
    for name, iteration in (("latest.pth", 8), ("resume.pth", 11)):
        meta = {"iter": iteration, FINGERPRINT_KEY: "f"}
        torch.save({"meta": meta, "state_dict": {"weight": torch.zeros(1)}}, tmp_path / name)
    assert find_own_checkpoint(tmp_path, "f") == tmp_path / "resume.pth"
    meta = {"iter": 16, FINGERPRINT_KEY: "f"}
    torch.save({"meta": meta, "state_dict": {"weight": torch.zeros(1)}}, tmp_path / "latest.pth")
    assert find_own_checkpoint(tmp_path, "f") == tmp_path / "latest.pth"
