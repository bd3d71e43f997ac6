import contextlib
import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.engine.checkpoint_keeper import CheckpointKeeper
from mmseg.engine.metrics import ConfusionMatrix
from mmseg.errors import CheckpointError


def metrics_of(mean_iou):
    """Metrics of two classes whose mIoU is (about) the given one."""
    confusion = ConfusionMatrix(2)
    right = round(1000 * mean_iou)
    prediction = np.array([0] * right + [1] * (1000 - right))
    confusion.update(np.concatenate([prediction, 1 - prediction]), np.array([0] * 1000 + [1] * 1000))
    return confusion.metrics()


def save(path, state):
    path.write_text(json.dumps(state))


def checkpoint(keeper, iteration, mean_iou=None):
    keeper.write(iteration, None if mean_iou is None else metrics_of(mean_iou), save)
    kept = names(keeper.kept)
    keeper.delete_superseded()
    return kept


def names(records):
    return [record.path.name for record in records]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_best_and_last_only(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    assert checkpoint(keeper, 10, 0.3) == ["best_mIoU_iter_10.pth", "latest.pth"]
    assert checkpoint(keeper, 20, 0.2) == ["best_mIoU_iter_10.pth", "latest.pth"]
    assert checkpoint(keeper, 30, 0.5) == ["best_mIoU_iter_30.pth", "latest.pth"]
    assert files(tmp_path) == ["best_mIoU_iter_30.pth", "latest.pth"]
    assert not (tmp_path / "latest.pth").is_symlink()
    assert (keeper.best.iteration, keeper.latest.iteration) == (30, 30)
    assert keeper.best.kind == "best" and keeper.latest.kind == "latest"


def test_what_was_not_evaluated_does_not_replace_what_was(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    assert checkpoint(keeper, 5) == ["latest.pth"]
    assert (keeper.newest, keeper.latest.metrics) == (keeper.latest, None)
    checkpoint(keeper, 10, 0.3)
    for iteration in (12, 14):
        assert checkpoint(keeper, iteration) == ["best_mIoU_iter_10.pth", "latest.pth", "resume.pth"]
        assert files(tmp_path) == ["best_mIoU_iter_10.pth", "latest.pth", "resume.pth"]
        assert (keeper.latest.iteration, keeper.newest.iteration, keeper.newest.kind) == (10, iteration, "resume")
    resumed = CheckpointKeeper(tmp_path)
    resumed.load_state_dict(json.loads((tmp_path / "resume.pth").read_text()), tmp_path / "resume.pth")
    assert (resumed.latest, resumed.newest) == (keeper.latest, keeper.newest)
    keeper.write(20, metrics_of(0.2), save)
    assert files(tmp_path) == ["best_mIoU_iter_10.pth", "latest.pth", "resume.pth"]  # until the callbacks know
    keeper.delete_superseded()
    assert files(tmp_path) == ["best_mIoU_iter_10.pth", "latest.pth"]
    assert keeper.newest == keeper.latest and keeper.latest.iteration == 20


def test_what_only_serves_to_resume_is_no_stage(tmp_path):
    keeper = CheckpointKeeper(tmp_path, only_best_and_last=False)
    checkpoint(keeper, 10, 0.3)
    keeper.write(12, None, save, is_stage=False)
    assert names(keeper.kept) == ["best_mIoU_iter_10.pth", "iter_10.pth", "latest.pth", "resume.pth"]


def test_an_older_checkpoint_says_nothing_about_the_latest(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    checkpoint(keeper, 10, 0.3)
    checkpoint(keeper, 20, 0.2)
    resumed = CheckpointKeeper(tmp_path)
    best = tmp_path / "best_mIoU_iter_10.pth"
    resumed.load_state_dict(json.loads(best.read_text()), best)
    assert (resumed.best.path, resumed.latest) == (best, None)


def test_an_equal_metric_is_no_new_best(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    checkpoint(keeper, 10, 0.4)
    assert not keeper.is_best(metrics_of(0.4))
    assert checkpoint(keeper, 20, 0.4) == ["best_mIoU_iter_10.pth", "latest.pth"]


def test_everything_is_kept(tmp_path):
    keeper = CheckpointKeeper(tmp_path, only_best_and_last=False)
    for iteration, value in ((10, 0.3), (20, 0.2), (30, 0.5)):
        checkpoint(keeper, iteration, value)
    bests = ["best_mIoU_iter_10.pth", "best_mIoU_iter_30.pth"]
    assert names(keeper.kept) == [*bests, "iter_10.pth", "iter_20.pth", "iter_30.pth", "latest.pth"]
    assert files(tmp_path) == sorted(names(keeper.kept))


def test_k_best_and_k_latest(tmp_path):
    keeper = CheckpointKeeper(tmp_path, only_best_and_last=False, max_keep=2)
    for iteration, value in ((10, 0.1), (20, 0.2), (30, 0.3), (40, 0.1), (50, 0.1)):
        checkpoint(keeper, iteration, value)
    bests = ["best_mIoU_iter_20.pth", "best_mIoU_iter_30.pth"]
    assert names(keeper.kept) == [*bests, "iter_40.pth", "iter_50.pth", "latest.pth"]
    assert files(tmp_path) == sorted(names(keeper.kept))


def test_superseded_files_outlive_the_callbacks(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    checkpoint(keeper, 10, 0.3)
    keeper.write(20, metrics_of(0.4), save)
    assert files(tmp_path) == ["best_mIoU_iter_10.pth", "best_mIoU_iter_20.pth", "latest.pth"]
    assert names(keeper.kept) == ["best_mIoU_iter_20.pth", "latest.pth"]
    keeper.delete_superseded()
    assert files(tmp_path) == ["best_mIoU_iter_20.pth", "latest.pth"]


def resume(folder, source=None, **options):
    keeper = CheckpointKeeper(folder, **options)
    latest = (source or folder) / "latest.pth"
    keeper.load_state_dict(json.loads(latest.read_text()), latest)
    return keeper


def test_resume_knows_the_best(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    checkpoint(keeper, 10, 0.3)
    checkpoint(keeper, 20, 0.2)
    resumed = resume(tmp_path)
    assert resumed.best == keeper.best and resumed.latest == keeper.latest
    assert not resumed.is_best(metrics_of(0.25))
    checkpoint(resumed, 30, 0.4)
    assert files(tmp_path) == ["best_mIoU_iter_30.pth", "latest.pth"]


def test_resume_deletes_what_the_killed_run_left(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    checkpoint(keeper, 10, 0.3)
    keeper.write(20, metrics_of(0.4), save)  # killed before deleting
    resumed = resume(tmp_path)
    assert "best_mIoU_iter_10.pth" in files(tmp_path)  # until the callbacks know of the new one
    checkpoint(resumed, 30, 0.1)
    assert files(tmp_path) == ["best_mIoU_iter_20.pth", "latest.pth"]


def test_kill_between_two_files_leaves_a_run_that_can_be_resumed(tmp_path):
    keeper = CheckpointKeeper(tmp_path)
    checkpoint(keeper, 10, 0.3)

    def save_once(path, state):
        if path.name == "latest.pth":
            raise KeyboardInterrupt
        save(path, state)

    with pytest.raises(KeyboardInterrupt):
        keeper.write(20, metrics_of(0.4), save_once)
    resumed = resume(tmp_path)
    assert (resumed.best.iteration, resumed.latest.iteration) == (10, 10)
    checkpoint(resumed, 20, 0.4)
    assert files(tmp_path) == ["best_mIoU_iter_20.pth", "latest.pth"]


def test_resume_in_another_folder_brings_the_best_along(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    checkpoint(CheckpointKeeper(old), 10, 0.3)
    resumed = resume(new, old)
    assert files(new) == ["best_mIoU_iter_10.pth"]
    assert resumed.best.path == new / "best_mIoU_iter_10.pth"
    checkpoint(resumed, 20, 0.5)
    assert files(new) == ["best_mIoU_iter_20.pth", "latest.pth"]
    assert files(old) == ["best_mIoU_iter_10.pth", "latest.pth"]


def test_resume_without_the_best_file_starts_a_new_best(tmp_path):
    checkpoint(CheckpointKeeper(tmp_path / "old"), 10, 0.3)
    (tmp_path / "old" / "best_mIoU_iter_10.pth").unlink()
    resumed = resume(tmp_path / "new", tmp_path / "old")
    assert resumed.best is None
    assert checkpoint(resumed, 20, 0.1) == ["best_mIoU_iter_20.pth", "latest.pth"]


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "iter_5.pth").write_text("of another run")
    (tmp_path / "notes.txt").write_text("mine")
    keeper = CheckpointKeeper(tmp_path, only_best_and_last=False, max_keep=1)
    for iteration in (10, 20):
        checkpoint(keeper, iteration, 0.1)
    assert files(tmp_path) == ["best_mIoU_iter_10.pth", "iter_20.pth", "iter_5.pth", "latest.pth", "notes.txt"]


def test_a_state_cannot_delete_outside_the_folder(tmp_path):
    victim = tmp_path / "iter_1.pth"
    victim.write_text("keep me")
    folder = tmp_path / "run"
    keeper = CheckpointKeeper(folder)
    checkpoint(keeper, 10, 0.3)
    state = {**keeper.state_dict(), "superseded": ["../iter_1.pth", str(victim)]}
    (folder / "latest.pth").write_text(json.dumps(state))
    checkpoint(resume(folder), 20, 0.5)
    assert victim.exists()


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"bests": [{"name": "../x.pth", "iteration": 1, "metrics": {"mIoU": 1}}], "stages": [], "latest": None},
        {"bests": [{"name": "best_mIoU_iter_1.pth", "iteration": 1, "metrics": None}], "stages": [], "latest": None},
    ],
)
def test_a_damaged_state_is_refused(tmp_path, state):
    with pytest.raises(CheckpointError, match="latest.pth"):
        CheckpointKeeper(tmp_path).load_state_dict({"superseded": [], **state}, tmp_path / "latest.pth")


def test_max_keep_is_checked(tmp_path):
    with pytest.raises(ValueError, match="max_keep"):
        CheckpointKeeper(tmp_path, max_keep=0)


NEWEST = ("latest.pth", "resume.pth")


def newest_iteration(state):
    return (state["resume"] or state["latest"])["iteration"]


class Killed(Exception):
    pass


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.sampled_from([0.1, 0.2, 0.3, 0.4])), min_size=1, max_size=6),
    kill_at=st.integers(0, 20),
    only_best_and_last=st.booleans(),
    max_keep=st.sampled_from([-1, 1, 2]),
)
def test_whenever_it_is_killed_what_was_told_exists(tmp_path_factory, values, kill_at, only_best_and_last, max_keep):
    folder = tmp_path_factory.mktemp("killed")
    options = dict(only_best_and_last=only_best_and_last, max_keep=max_keep)
    steps, told = [0], []

    def step():
        steps[0] += 1
        if steps[0] > kill_at:
            raise Killed

    def save_or_die(path, state):
        step()
        save(path, state)

    def run(keeper, todo):
        for iteration, value in todo:
            keeper.write(iteration, None if value is None else metrics_of(value), save_or_die)
            step()
            told[:] = names(keeper.kept)
            step()
            keeper.delete_superseded()

    work = [(10 * (i + 1), value) for i, value in enumerate(values)]
    with contextlib.suppress(Killed):
        run(CheckpointKeeper(folder, **options), work)
    assert set(told) <= set(files(folder))

    kill_at = 10**9
    keeper = CheckpointKeeper(folder, **options)
    if (folder / "latest.pth").exists():
        states = [(path, json.loads(path.read_text())) for path in folder.iterdir() if path.name in NEWEST]
        path, state = max(states, key=lambda item: newest_iteration(item[1]))
        keeper.load_state_dict(state, path)
    done = keeper.newest.iteration if keeper.newest is not None else 0
    run(keeper, [item for item in work if item[0] > done])
    if any(item[0] > done for item in work):
        assert set(told) == set(files(folder))  # nothing is left over, nothing is missing
    uninterrupted = CheckpointKeeper(folder.with_name(folder.name + "-whole"), **options)
    for iteration, value in work:
        checkpoint(uninterrupted, iteration, value)
    assert names(keeper.kept) == names(uninterrupted.kept)
    shutil.rmtree(folder)
