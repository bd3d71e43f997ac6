import subprocess
import sys
from pathlib import Path

import pytest

from tools.list_models import PublishedModel, format_table, main, read_models, sorted_models

COMMAND = Path(__file__).parents[2] / "tools" / "list_models.py"
METAFILE = """
Models:
- Name: net_b
  Metadata: {backbone: B, crop size: "(64,32)", lr schd: 2000, Training Memory (GB): 1.5}
  Results: [{Task: Semantic Segmentation, Dataset: Roads, Metrics: {mIoU: 50.0, mIoU(ms+flip): 51.0}}]
  Config: configs/nets/net_b.py
  Weights: https://example.org/net_b.pth
- Name: net_a
  Metadata: {backbone: A, crop size: "(64,32)", lr schd: 1000, inference speed (images/s): 9.5}
  Results: [{Task: Semantic Segmentation, Dataset: Vessels, Metrics: {Dice: 80.0}}]
  Config: configs/nets/net_a.py
  Weights: https://example.org/net_a.pth
"""
NET_B = PublishedModel(
    "configs/nets/net_b.py", "B", "Roads", "64x32", 2000, 1.5, None, 50.0, 51.0, None, "https://example.org/net_b.pth"
)
NET_A = PublishedModel(
    "configs/nets/net_a.py", "A", "Vessels", "64x32", 1000, None, 9.5, None, None, 80.0, "https://example.org/net_a.pth"
)


@pytest.fixture
def configs(tmp_path):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "metafile.yml").write_text(METAFILE, encoding="utf-8")
    return tmp_path


def test_reads_what_was_published(configs):
    assert read_models(configs) == [NET_B, NET_A]
    assert NET_A.family == "nets"


def test_every_entry_of_the_repository_is_read():
    models = read_models()
    assert len(models) > 340 and {model.family for model in models} >= {"fastscnn", "hrnet", "ocrnet", "deeplabv3plus"}
    assert all(model.miou or model.dice for model in models)


def test_table_is_aligned():
    lines = format_table([NET_B, NET_A]).split("\n")
    assert lines[1].split() == ["configs/nets/net_b.py", "B", "Roads", "64x32", "2000", "1.5", "-", "50.0", "51.0", "-"]
    assert lines[2].split() == ["configs/nets/net_a.py", "A", "Vessels", "64x32", "1000", "-", "9.5", "-", "-", "80.0"]
    assert [line.index(line.split()[1]) for line in lines] == [23, 23, 23]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("name", [NET_A, NET_B]), ("miou", [NET_B, NET_A]), ("speed", [NET_A, NET_B]), ("memory", [NET_B, NET_A])],
)
def test_best_first_and_unknown_last(key, expected):
    assert sorted_models([NET_A, NET_B], key) == sorted_models([NET_B, NET_A], key) == expected


def test_more_accurate_and_faster_and_smaller_come_first():
    better = NET_B._replace(miou=60.0, memory=1.0, speed=2.0)
    worse = better._replace(miou=40.0, memory=2.0, speed=1.0)
    assert all(sorted_models([worse, better], key) == [better, worse] for key in ("miou", "memory", "speed"))


def test_filters_by_family_and_data_set(configs, capsys):
    assert main(["--configs", str(configs), "--family", "NETS", "--dataset", "roads", "--weights"]) == 0
    assert capsys.readouterr().out == "configs/nets/net_b.py  https://example.org/net_b.pth\n"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--family", "error: there is no family 'nothing' among these models, only nets\n"),
        ("--dataset", "error: there is no dataset 'nothing' among these models, only Roads, Vessels\n"),
    ],
)
def test_unknown_name_is_an_error_that_says_what_there_is(configs, capsys, option, message):
    assert main(["--configs", str(configs), option, "nothing"]) == 1
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Models: [{Name: a}]", "an entry of Models has no 'Metadata'"),
        ("Models:", "the key Models with a list of published models is expected"),
        ("- 1", "the key Models with a list of published models is expected"),
        ("{", "this is not valid YAML"),
    ],
)
def test_damaged_metafile_is_named(configs, capsys, text, message):
    file = configs / "nets" / "metafile.yml"
    file.write_text(text, encoding="utf-8")
    assert main(["--configs", str(configs)]) == 1
    error = capsys.readouterr().err
    assert str(file) in error and message in error and error.count("\n") == 1


def test_folder_without_metafiles(tmp_path, capsys):
    assert main(["--configs", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}: there is no folder with a metafile.yml in it\n"


def test_command():
    done = subprocess.run(
        [sys.executable, str(COMMAND), "--family", "fastscnn"], stdout=subprocess.PIPE, text=True, check=True
    )
    assert "fast_scnn_lr0.12_8x4_160k_cityscapes.py" in done.stdout and "70.96" in done.stdout
