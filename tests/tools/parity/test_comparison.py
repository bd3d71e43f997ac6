"""The comparison on files of two sides, written here as the sides write them, and our own side as a real process."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.models.configs import fill as reference_fill
from tests.models.configs import tiny
from tests.tools.streets import ROOT
from tools.parity import __main__ as command
from tools.parity import cases, comparison, inputs
from tools.parity.report import report

FAST_SCNN = "fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What our side leaves for the project's Fast-SCNN and a config of a network that there is not."""
    root = tmp_path_factory.mktemp("configs")
    shutil.copytree(str(ROOT / "configs" / "_base_"), str(root / "_base_"))
    (root / "fastscnn").mkdir()
    shutil.copy(str(ROOT / "configs" / FAST_SCNN), str(root / "fastscnn"))
    (root / "other").mkdir()
    missing = f"_base_ = ['../{FAST_SCNN}']\nmodel = dict(backbone=dict(type='NoSuchNet'))\n"
    (root / "other" / "missing.py").write_text(missing)
    (root / "other" / "broken.py").write_text("import os\nos.remove('x')\n")
    folder = tmp_path_factory.mktemp("ours")
    request = {"root": str(root), "steps": ["about", *command.STEPS], "networks": [FAST_SCNN, "other/missing.py"]}
    (folder / "request").write_text(json.dumps(request))
    side = ROOT / "tools" / "parity" / "side.py"
    run = [sys.executable, str(side), "ours", str(folder / "request"), str(folder)]
    done = subprocess.run(run, cwd=str(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def changed(measured, tmp_path, step, change):
    """A copy of a side in which one step's JSON is changed."""
    folder = tmp_path / "changed"
    shutil.copytree(str(measured), str(folder))
    content = comparison.load(folder, step)
    change(content)
    (folder / f"{step}.json").write_text(json.dumps(content))
    return folder


def test_a_side_agrees_with_itself_and_missing_networks_are_told_from_wrong_ones(measured):
    layouts = comparison.compare_layouts(comparison.load(measured, "layouts"), comparison.load(measured, "layouts"))
    found = {row.name: (row.there, row.here, row.same) for row in layouts}
    assert found == {FAST_SCNN: (True, True, True), "other/missing.py": (False, False, None)}
    text = report(measured, measured)
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "1 of 1" in rows["fastscnn"] and "backbone `NoSuchNet` is missing" in rows["other"]
    assert "**differs**" not in text
    assert rows["networks with the same numbers"].split("|")[2:5] == [" 1 ", " 1 ", " 1 "]
    for what in ("transforms without chance", "learning rate schedules", "optimizers' parameter groups"):
        same, of = rows[what].split("|")[2:4]
        assert same == of and int(same) >= 1


def test_numbers_of_the_network_are_those_of_the_reference_weights(measured):
    record = comparison.load(measured, "networks")[FAST_SCNN]
    assert record["parameters"] == 1456617
    assert record["losses"]["loss"] == pytest.approx(31.169057846069336, rel=1e-4)
    assert record["gradients"]["backbone"] == pytest.approx(552.860999143011, rel=1e-3)


def test_weights_are_filled_as_the_reference_data_are():
    from mmseg.models import build_segmentor

    ours, theirs = build_segmentor(tiny()), reference_fill(build_segmentor(tiny()))
    inputs.fill(ours)
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy(), err_msg=name)


@pytest.mark.parametrize(
    ("step", "change", "title", "note"),
    [
        (
            "read",
            lambda content: content[FAST_SCNN]["content"]["model"].update(type="X"),
            "config files with the same content",
            "differs at .model.type",
        ),
        (
            "layouts",
            lambda content: next(iter(content["built"].values()))["layout"][3].__setitem__(1, [9]),
            "checkpoint layouts",
            " for [9]",
        ),
        (
            "networks",
            lambda content: content[FAST_SCNN]["losses"].update(loss=30.0),
            "networks with the same numbers",
            "**differs**",
        ),
        (
            "schedules",
            lambda content: content[0]["rates"][7].__setitem__(1, 1.0),
            "learning rate schedules",
            "**differs**",
        ),
        (
            "optimizers",
            lambda content: next(iter(content.values()))["settings"]["decode_head.conv_seg.bias"].__setitem__(1, 0.5),
            "optimizers' parameter groups",
            "decode_head.conv_seg.bias has ",
        ),
        (
            "transforms",
            lambda content: content[0]["rest"].update({"/flip_direction": "'up'"}),
            "transforms without chance",
            "flip_direction is ",
        ),
    ],
)
def test_a_difference_is_found_and_shown(measured, tmp_path, step, change, title, note):
    text = report(changed(measured, tmp_path, step, change), measured)
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {title} |")]
    same, of = (int(cell) for cell in row.split("|")[2:4])
    assert same == of - 1 and note in text


def test_numbers_that_differ_are_found(measured, tmp_path):
    folder = changed(measured, tmp_path, "about", lambda content: None)
    for name in ("networks", "transforms"):
        with np.load(str(folder / f"{name}.npz")) as file:
            arrays = {key: file[key] for key in file.files}
        key = FAST_SCNN if name == "networks" else "0/img"
        arrays[key] = arrays[key] + arrays[key].dtype.type(1)
        np.savez(str(folder / f"{name}.npz"), **arrays)
    (row,) = [row for row in comparison.compare_networks(folder, measured) if row.name == FAST_SCNN]
    assert row.agrees is False and row.numbers["logits"] > 1e-3
    names = [str(number) for number in range(len(cases.TRANSFORMS))]
    rows = comparison.compare_transforms(folder, measured, names)
    assert [row.agrees for row in rows] == [False, *[True] * (len(names) - 1)] and "img differs by" in rows[0].note


def test_types_count_in_configs():
    for theirs, ours in ((1, 1.0), (True, 1), ([1], {"(tuple)": [1]}), ({"a": 1}, {"a": 1, "b": 2})):
        assert comparison.difference({"x": theirs}, {"x": ours}) is not None
    assert comparison.difference({"x": [1, {"y": None}]}, {"x": [1, {"y": None}]}) is None


def test_the_command_needs_the_original_packages(tmp_path, capsys):
    """An interpreter without them is named by what it said; nothing is written."""
    assert command.main(["--out", str(tmp_path / "parity.md"), "--python", sys.executable]) == 1
    assert "the measurement of theirs failed: ModuleNotFoundError" in capsys.readouterr().err
    assert not (tmp_path / "parity.md").exists()


def test_networks_are_chosen_by_pattern(tmp_path):
    for name in ("a/one.py", "a/two.py", "_base_/a/one.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Path(tmp_path / name).touch()
    assert command.chosen_networks(tmp_path, ["a/*e.py"]) == ["a/one.py"]
    assert command.chosen_networks(tmp_path, None) == list(cases.NETWORKS)
    with pytest.raises(command.CommandError, match="no config of the original matches b"):
        command.chosen_networks(tmp_path, ["b*"])
