"""Tasks that a signal ends."""

import signal
import sys

import pytest
import yaml

from mmseg.engine.checkpoint import load_checkpoint
from tests.end_to_end.running import Running, iterations, log_records
from tools.demo_data import write_data
from tools.demo_task import stage_files, write_predict_task, write_training_task
from tools.street_scenes import CLASSES

SMALL = {
    "image_size": "96x64",
    "crop_size": "64x64",
    "samples_per_gpu": 2,
    "workers_per_gpu": 2,
    "max_iters": 100000,
    "interval": 5,
    "cfg_options": "log_config.interval=1",
}
TWO = [sys.executable, "-m", "tests.end_to_end.two_processes"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("signals")
    write_data(root, train=4, val=3, candidates=40, size=(96, 64))
    return root


def assert_stopped(run, status, name, checkpoint):
    """The record, the files that it names, and nothing else that failed."""
    assert run.finish() == status, run.output
    state, code, sentence = run.record[3:6]
    assert (state, code) == ("4", "160004"), run.record
    iteration = load_checkpoint(run.out / "models" / checkpoint)["meta"]["iter"]
    assert f"stopped by {name} at iteration {iteration}; {run.out / 'models' / checkpoint} holds its state" in sentence
    assert "started again the task goes on from there" in sentence
    assert "DataLoader worker" not in run.output
    result = yaml.safe_load((run.out / "models" / "result.yaml").read_text())
    for stage in result["model_stages"].values():
        assert all((run.out / "models" / file).is_file() for file in stage["files"])
    return iteration, result


@pytest.mark.parametrize("group", [False, True])
def test_a_training_saves_its_state(root, group):
    env = write_training_task(root, name=f"stopped-{group}", class_names=CLASSES, **SMALL)
    run = Running(env)
    # Between two evaluations, and while the loader's processes work ahead.
    run.wait_until(lambda: iterations(run.out) >= 6)
    run.signal(signal.SIGTERM, group=group)
    newest = "latest.pth"
    assert run.finish() == 143, run.output
    if (run.out / "models" / "resume.pth").is_file():
        newest = "resume.pth"
    iteration, result = assert_stopped(run, 143, "SIGTERM", newest)
    assert iteration == iterations(run.out) >= 6
    assert set(result["model_stages"]) == {"best", "last"}
    scores = {record["iter"]: record["mIoU"] for record in log_records(run.out, "val")}
    latest = load_checkpoint(run.out / "models" / "latest.pth")["meta"]["iter"]
    assert result["model_stages"]["last"]["mIoU"] == pytest.approx(scores[latest])


def test_a_training_that_was_not_evaluated_yet_leaves_a_model(root):
    options = {**SMALL, "interval": 100000, "max_iters": 100000}
    env = write_training_task(root, name="early", class_names=CLASSES, **options)
    run = Running(env)
    run.wait_until(lambda: iterations(run.out) >= 2)
    run.signal(signal.SIGINT)
    _, result = assert_stopped(run, 130, "SIGINT", "latest.pth")
    assert (result["best_stage_name"], result["mIoU"], list(result["model_stages"])) == ("last", 0.0, ["last"])


@pytest.mark.parametrize("group", [False, True])
def test_two_processes_stop_together(root, group):
    env = write_training_task(root, name=f"two-{group}", class_names=CLASSES, **{**SMALL, "interval": 100000})
    run = Running(env, TWO)
    run.wait_until(lambda: iterations(run.out) >= 2)
    run.signal(signal.SIGTERM, group=group)
    assert_stopped(run, 143, "SIGTERM", "latest.pth")


def test_a_stopped_training_goes_on_as_if_nothing_had_been(root):
    options = {**SMALL, "max_iters": 30, "interval": 10, "cfg_options": "log_config.interval=4"}
    whole = Running(write_training_task(root, name="whole", class_names=CLASSES, **options))
    env = write_training_task(root, name="parts", class_names=CLASSES, **options)
    run = Running(env)
    run.wait_until(lambda: iterations(run.out) >= 4)
    run.signal(signal.SIGTERM)
    assert run.finish() == 143, run.output
    again = Running(env)
    assert (again.finish(), whole.finish()) == (0, 0), again.output + whole.output
    assert log_records(again.out, "train", "val") == log_records(whole.out, "train", "val")


def test_mining_and_infer_say_so_and_finish_later(root):
    trained = Running(write_training_task(root, name="model", class_names=CLASSES, **{**SMALL, "max_iters": 5}))
    assert trained.finish() == 0, trained.output
    env = write_predict_task(
        root,
        stage_files(root / "model" / "env.yaml"),
        class_names=CLASSES,
        samples_per_gpu=1,
        workers_per_gpu=1,
        image_size="384x256",
    )
    run = Running(env)
    run.wait_until(lambda: any(path.stat().st_size for path in run.out.rglob("*.journal")))
    run.signal(signal.SIGTERM, group=True)
    assert run.finish() == 143, run.output
    assert run.record[3:5] == ["4", "160004"]
    assert run.record[5].startswith("stopped by SIGTERM: started again the task goes on")
    assert not (run.out / "result.tsv").exists()
    run = Running(env)
    assert run.finish() == 0, run.output
    assert len((run.out / "result.tsv").read_text().splitlines()) == 40
