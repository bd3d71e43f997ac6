"""Every row of the table of bad inputs: the exit status, the record in monitor.txt, and what stays as it was."""

import logging
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import start
from mmseg.config import Config
from mmseg.engine.checkpoint import save_checkpoint
from mmseg.models import build_segmentor
from tests.end_to_end.bad_input_document import DOCUMENT, document
from tests.end_to_end.bad_inputs import TABLE
from tests.end_to_end.bad_inputs.spoiling import CONFIG, WEIGHTS
from tests.end_to_end.bad_inputs.task_folder import TaskFolder
from tests.end_to_end.start import ROOT
from tests.ymir.task_files import write_env
from tools.demo_data import write_data
from tools.demo_task import write_predict_task, write_training_task
from tools.street_scenes import CLASSES
from ymir.params import TABLES

TRAINING = {"image_size": "64x48", "crop_size": "64x48", "max_iters": 2, "interval": 2, "workers_per_gpu": 0}
# Results of an earlier run, which a failure must leave alone.
EARLIER = {"result.tsv": "a.jpg\t1.0\n", "infer-result.json": "{}\n", "models/result.yaml": "map: 0.5\n"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Images, annotations, index files and a model package, all right."""
    root = tmp_path_factory.mktemp("sound")
    write_data(root, train=2, val=1, candidates=1, size=(64, 48))
    cfg = Config.fromfile(str(ROOT / "configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py"))
    for head in [cfg.model.decode_head, *cfg.model.auxiliary_head]:
        head.num_classes = len(CLASSES)
    package = root / "in" / "package"
    package.mkdir()
    cfg.dump(root / "in" / CONFIG)
    save_checkpoint(root / "in" / WEIGHTS, model=build_segmentor(cfg.model), meta={"CLASSES": list(CLASSES)})
    return root


@pytest.fixture
def root(sound, tmp_path):
    """A copy to spoil, under paths of its own."""
    root = tmp_path / "任务"
    shutil.copytree(str(sound / "in"), str(root / "in"))
    for index in (root / "in").glob("*.tsv"):
        index.write_text(index.read_text().replace(str(sound), str(root)))
    return root


def write_task(root, bad):
    if bad.kind == "training":
        path = write_training_task(root, class_names=CLASSES, name="task", **TRAINING)
    else:
        files = [root / "in" / CONFIG, root / "in" / WEIGHTS]
        jobs = {"run_mining": bad.kind == "mining", "run_infer": bad.kind == "infer"}
        path = write_predict_task(root, files, class_names=CLASSES, name="task", workers_per_gpu=0, **jobs)
    task = TaskFolder(path)
    task.config.update(bad.config)
    for name, content in EARLIER.items():
        (task.out / name).parent.mkdir(parents=True, exist_ok=True)
        (task.out / name).write_text(content)
    bad.spoil(task)
    task.write()
    return task


def run_in_process(task, monkeypatch, capfd):
    """The exit status and the output of start.py's own function."""
    monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(task.env_file))
    level = logging.getLogger().level
    try:
        status = start.main()
    finally:
        logging.getLogger().setLevel(level)
    return status, "".join(capfd.readouterr())


def run_process(task, largest_file):
    """The exit status and the output of start.py, as the platform runs it."""

    def limit():
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    done = subprocess.run(
        [sys.executable, str(ROOT / "start.py")],
        env={**os.environ, "DEFAULT_ENV_FILE_PATH": str(task.env_file)},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        preexec_fn=limit,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("bad", TABLE, ids=[f"{bad.kind}: {bad.name}" for bad in TABLE])
def test_bad_input(bad, root, monkeypatch, capfd):
    task = write_task(root, bad)
    if bad.process:
        status, output = run_process(task, bad.largest_file)
    else:
        status, output = run_in_process(task, monkeypatch, capfd)
    assert status == 1, output
    last = output.rstrip().rsplit("\n", 1)[-1] if bad.record else output
    assert f"return code {bad.code}: " in last
    if bad.record:
        first, _, details = (task.out / "monitor.txt").read_text(encoding="utf-8").partition("\n")
        fields = first.split("\t")
        assert len(fields) == 6
        assert (fields[3], fields[4]) == ("4", str(bad.code)), first
        assert 0 <= float(fields[2]) < 1
        assert_holds(fields[5], bad.words)
        assert details.startswith("Traceback")
        assert last == f"return code {bad.code}: {fields[5]}"
    else:
        assert_holds(output.rpartition(f"return code {bad.code}: ")[2], bad.words)
    if task.out.is_dir():
        for name, content in EARLIER.items():
            assert (task.out / name).read_text() == content


@pytest.mark.parametrize(
    ("job", "key"), [(job, key) for job, table in sorted(TABLES.items()) for key in sorted(table.model_fields)]
)
@pytest.mark.parametrize("value", [{"a": 1}, ["x", 2]])
def test_every_hyper_parameter_refuses_what_it_cannot_be(job, key, value, tmp_path, monkeypatch, capfd):
    path = write_env(tmp_path, config={"class_names": ["road"], key: value}, **{f"run_{job}": True})
    monkeypatch.setenv("DEFAULT_ENV_FILE_PATH", str(path))
    assert start.main() == 1
    record = (tmp_path / "out" / "monitor.txt").read_text(encoding="utf-8").partition("\n")[0].split("\t")
    assert record[3:5] == ["4", "300001"]
    assert_holds(record[5], (str(tmp_path / "in" / "config.yaml"), f"{key} is {value!r}, but must be "))


def assert_holds(sentence, words):
    """The words stand in the sentence in their order."""
    rest = sentence
    for word in words:
        assert word in rest, f"{word!r} is not in {rest!r}"
        rest = rest.partition(word)[2]


def test_a_full_disk(root):
    """A file system of its own, with room for the record but not for the weights."""
    bad = next(bad for bad in TABLE if bad.largest_file and bad.kind == "training")
    task = write_task(root, bad)
    script = (
        'mount -t tmpfs -o size=2m tmpfs "$1" || exit 77; shift; "$@"; status=$?; cat "$OUT/monitor.txt"; exit $status'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(task.out), sys.executable, str(ROOT / "start.py")],
        env={**os.environ, "DEFAULT_ENV_FILE_PATH": str(task.env_file), "OUT": str(task.out)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    output = done.stdout.decode("utf-8", "replace")
    if done.returncode == 77 or "unshare" in output.partition("\n")[0]:
        pytest.skip("no file systems can be mounted here")
    assert done.returncode == 1, output
    assert "\t4\t160004\tno space left on the device while writing " in output


def test_there_are_enough_of_them_and_none_twice():
    names = [(bad.kind, bad.name) for bad in TABLE]
    assert len(set(names)) == len(names) >= 60


def test_the_document_shows_the_table():
    assert Path(DOCUMENT).read_text(encoding="utf-8") == document()
