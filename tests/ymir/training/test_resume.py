import pytest

from mmseg.config import Config
from tests.ymir.task_files import make_task
from ymir.training.arguments import parse_training_arguments
from ymir.training.resume import training_fingerprint


@pytest.fixture
def name_of(tmp_path):
    """The fingerprint of a training of one image with such hyper-parameters, config and weights."""
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "in").mkdir()
    for index in ("train-index.tsv", "val-index.tsv"):
        (tmp_path / "in" / index).write_text(f"{tmp_path / 'a.png'}\t{tmp_path / 'a.json'}\n")

    def fingerprint(class_names=("road", "car"), options="", cfg=None, weights=(), **parameters):
        task = make_task(tmp_path, config={"class_names": list(class_names), **parameters}, run_training=True)
        return training_fingerprint(task, parse_training_arguments(options), Config(cfg or {}), weights)

    return fingerprint


def weights(folder, content):
    path = folder / f"{content}.pth"
    path.write_text(content)
    return path


def test_what_changes_a_training_changes_its_name(tmp_path, name_of):
    a, b = weights(tmp_path, "a"), weights(tmp_path, "b")
    names = [
        name_of(),
        name_of(class_names=("car", "road")),
        name_of(options="--seed 1"),
        name_of(options="--deterministic"),
        name_of(options="--no-validate"),
        name_of(options=f"--resume-from {a}"),
        name_of(cfg={"optimizer": {"lr": 0.1}}),
        name_of(weights=[a]),
        name_of(weights=[b]),
        name_of(weights=[a, b]),
        name_of(save_least_file=False),
    ]
    (tmp_path / "a.json").write_text("{ }")
    names.append(name_of())
    index = tmp_path / "in" / "val-index.tsv"
    index.write_text(index.read_text().replace("a.png", "b.png"))
    names.append(name_of())
    assert len(set(names)) == len(names)


def test_what_does_not_change_a_training_does_not(tmp_path, name_of):
    moved = weights(tmp_path, "a").rename(tmp_path / "moved.pth")
    names = {
        name_of(weights=[weights(tmp_path, "a")]),
        name_of(weights=[moved]),
        name_of(weights=[moved], workers_per_gpu=7, shm_size="1G", gpu_id=""),
        name_of(weights=[moved], cfg={"work_dir": "/elsewhere", "log_config": {"interval": 1}}),
    }
    assert len(names) == 1
