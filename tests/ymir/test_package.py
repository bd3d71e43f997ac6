import shutil
from pathlib import Path

import pytest
import torch

from mmseg.errors import ConfigError
from ymir.errors import PackageError
from ymir.package import (
    ModelPackage,
    choose_weights,
    class_indices,
    find_package,
    package_problems,
    read_package_config,
)


def files(folder, *names):
    for name in names:
        torch.save({}, str(folder / name))
    return [folder / name for name in names]


def test_the_best_weights_go_before_others_whatever_the_order(tmp_path):
    package = find_package(files(tmp_path, "latest.pth", "model.py", "best_mIoU_iter_4.pth"))
    assert package == ModelPackage(tmp_path / "model.py", tmp_path / "best_mIoU_iter_4.pth")
    assert choose_weights([Path("a.py"), Path("b.pt"), Path("c.pth")]) == Path("b.pt")
    assert choose_weights([Path("a.py")]) is None


@pytest.mark.parametrize(
    ("names", "message"),
    [((), "has no model_params_path"), (("a.pth",), "names no config file"), (("a.py",), "names no weights")],
)
def test_an_incomplete_package_is_one_sentence(tmp_path, names, message):
    with pytest.raises(PackageError, match=message):
        find_package(files(tmp_path, *names))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PackageError, match=r"gone\.pth, which is not a file"):
        find_package([*files(tmp_path, "a.py"), tmp_path / "gone.pth"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b""), "which is empty"),
        (lambda path: path.write_text("no weights"), "which is a text, not a checkpoint"),
        (lambda path: path.write_text("\n <!DOCTYPE html>"), "which is a web page, not a checkpoint"),
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0"), "which begins like no file of weights"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "which is damaged or truncated"),
        (lambda path: (path.unlink(), path.mkdir()), "which is a folder"),
        (lambda path: (path.unlink(), path.symlink_to("gone")), "which is not a file"),
    ],
)
def test_weights_that_are_none_are_known_by_their_first_bytes(tmp_path, spoil, message):
    package = files(tmp_path, "a.py", "a.pth")
    find_package(package)
    spoil(package[1])
    with pytest.raises(PackageError, match=rf"model_params_path names {package[1]}, {message}"):
        find_package(package)


def test_weights_in_the_older_format_pass(tmp_path):
    package = files(tmp_path, "a.py", "a.pth")
    torch.save({"w": torch.zeros(3)}, str(package[1]), _use_new_zipfile_serialization=False)
    assert find_package(package).weights_file == package[1]


def test_all_that_is_wrong_with_a_package_is_found(tmp_path):
    problems = [str(problem) for problem in package_problems([tmp_path / "a.py", tmp_path / "b.pth"])]
    assert problems == [f"model_params_path names {tmp_path / name}, which is not a file" for name in ("a.py", "b.pth")]


def package_with(folder, text):
    config = folder / "package" / "model.py"
    config.parent.mkdir()
    config.write_text(text)
    return ModelPackage(config, folder / "package" / "model.pth")


def test_a_config_runs_nothing(tmp_path):
    package = package_with(tmp_path, f"__import__('pathlib').Path('{tmp_path}/canary').touch()\nmodel = dict()\n")
    with pytest.raises(ConfigError, match=r"model\.py:1"):
        read_package_config(package)
    assert not (tmp_path / "canary").exists()


def test_a_config_does_not_leave_the_folder_of_its_package(tmp_path):
    (tmp_path / "base.py").write_text("model = dict(type='EncoderDecoder')\n")
    package = package_with(tmp_path, "_base_ = '../base.py'\n")
    with pytest.raises(ConfigError, match=r"base\.py"):
        read_package_config(package)
    shutil.copy(tmp_path / "base.py", tmp_path / "package" / "base.py")
    package.config_file.write_text("_base_ = 'base.py'\n")
    assert read_package_config(package).model.type == "EncoderDecoder"


def test_a_config_without_a_model_is_refused(tmp_path):
    with pytest.raises(PackageError, match="has no 'model'"):
        read_package_config(package_with(tmp_path, "x = 1\n"))


@pytest.mark.parametrize(
    ("model_classes", "class_names", "blank", "pairs"),
    [
        (["road", "car"], ["road", "car"], False, ((0, 0), (1, 1))),
        (["road", "car"], ["car", "road"], False, ((1, 0), (0, 1))),
        (["ymir_background", "road", "car"], ["car"], True, ((2, 0),)),
        (["ymir_background", "road"], ["road"], False, ((1, 0),)),
        (["background", "road"], ["background", "road"], True, ((1, 1),)),
        (["road", "car"], ["car", "dog"], False, ((1, 0),)),
    ],
)
def test_outputs_are_matched_by_name_and_background_is_none_of_them(model_classes, class_names, blank, pairs):
    assert class_indices(model_classes, class_names, blank) == pairs


def test_a_model_of_other_classes_is_refused():
    with pytest.raises(PackageError, match=r"the model knows the classes \['road'\], none of which"):
        class_indices(["road"], ["car"], False)
