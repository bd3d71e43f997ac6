import pytest

from tests.ymir.task_files import make_task
from ymir.errors import PackageError
from ymir.training.arguments import parse_training_arguments
from ymir.training.pretrained import choose_pretrained, starting_files

STEM = "fast_scnn_lr0.12_8x4_160k_cityscapes"


def weights(folder, name):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def choose(tmp_path, config=None, environment=None, options="", load_from=None, parts=()):
    environment = environment or {"YMIR_WEIGHTS_DIR": str(tmp_path / "none")}
    task = make_task(tmp_path, environment, config={"class_names": ["a"], **(config or {})}, run_training=True)
    return choose_pretrained(task, parse_training_arguments(options), load_from, parts)


def test_the_order_of_the_places(tmp_path):
    by_option = weights(tmp_path, "option.pth")
    by_task = weights(tmp_path, "in/models/best/task.pth")
    by_config = weights(tmp_path, "config.pth")
    by_folder = weights(tmp_path, f"weights/sub/{STEM}_20210630-0cec9937.pth")
    weights(tmp_path, "weights/other.pth")
    environment = {"YMIR_WEIGHTS_DIR": str(tmp_path / "weights")}
    config = {"pretrained_model_params": ["best/task.py", "best/task.pth"]}
    assert choose(tmp_path, config, environment, f"--load-from {by_option}", str(by_config)) == by_option
    assert choose(tmp_path, config, environment, load_from=str(by_config)) == by_task
    assert choose(tmp_path, None, environment, load_from=str(by_config)) == by_config
    assert choose(tmp_path, None, environment) == by_folder
    assert choose(tmp_path) is None


def test_a_single_file_will_do_only_in_a_folder_that_the_task_names(tmp_path):
    only = weights(tmp_path, "weights/anything.pth")
    assert choose(tmp_path, environment={"YMIR_WEIGHTS_DIR": str(only.parent)}) is None
    assert choose(tmp_path, {"weights_dir": str(only.parent)}) == only
    weights(tmp_path, "weights/another.pth")
    with pytest.raises(PackageError, match="where 2 weights files lie"):
        choose(tmp_path, {"weights_dir": str(only.parent)})


def test_an_address_means_a_file_of_the_weights_folder(tmp_path):
    environment = {"YMIR_WEIGHTS_DIR": str(tmp_path / "weights")}
    by_address = weights(tmp_path, "weights/some/net-01234567.pth")
    address = "https://a.example/b/net-01234567.pth"
    assert choose(tmp_path, environment=environment, load_from=address) == by_address
    assert choose(tmp_path, environment=environment, options=f"--load-from {address}") == by_address
    with pytest.raises(PackageError, match=r"load_from names https://a.*/c.pth, which is not here: put the file c.pth"):
        choose(tmp_path, environment=environment, load_from="https://a.example/c.pth")


def test_weights_of_the_backbone_are_not_those_of_the_whole_network(tmp_path):
    backbone = weights(tmp_path, "weights/resnet50_v1c-2cccc1ad.pth")
    config, parts = {"weights_dir": str(backbone.parent)}, ["open-mmlab://resnet50_v1c"]
    assert choose(tmp_path, config) == backbone
    assert choose(tmp_path, config, parts=parts) is None
    weights(tmp_path, "weights/another.pth")
    assert choose(tmp_path, config, parts=parts) is None
    whole = weights(tmp_path, f"weights/{STEM}.pth")
    assert choose(tmp_path, config, parts=parts) == whole


def test_what_a_training_takes_weights_from(tmp_path):
    backbone = weights(tmp_path, "weights/resnet50_v1c-2cccc1ad.pth")
    config = {"class_names": ["a"], "weights_dir": str(backbone.parent)}
    task, parts = make_task(tmp_path, config=config, run_training=True), ["open-mmlab://resnet50_v1c", "none.pth"]
    assert starting_files(task, None, parts) == [backbone]
    assert starting_files(task, tmp_path / "whole.pth", parts) == [tmp_path / "whole.pth"]


@pytest.mark.parametrize(
    ("config", "options", "load_from", "message"),
    [
        ({}, "--load-from /gone.pth", None, "--load-from /gone.pth, which is not a file"),
        (
            {"pretrained_model_params": ["gone.pth"]},
            "",
            None,
            r"pretrained_model_params names .*gone\.pth, which is not",
        ),
        ({"pretrained_model_params": ["a.py"]}, "", None, "pretrained_model_params names no weights"),
        ({}, "", "/gone.pth", "the config's load_from names /gone.pth"),
    ],
)
def test_what_was_asked_for_and_is_not_there_is_named(tmp_path, config, options, load_from, message):
    with pytest.raises(PackageError, match=message):
        choose(tmp_path, config, options=options, load_from=load_from)
