import pytest
import yaml

from ymir.errors import ParameterError
from ymir.params import (
    InferParameters,
    MiningParameters,
    TrainingParameters,
    parse_size,
    read_parameters,
    unknown_keys,
)

DOCUMENTED_TRAINING = {
    "config_file": "configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py",
    "max_iters": 20000,
    "interval": 2000,
    "samples_per_gpu": 2,
    "workers_per_gpu": 2,
    "max_keep_ckpts": -1,
    "save_least_file": True,
    "cfg_options": "",
    "args_options": "",
    "export_format": "seg-coco:raw",
    "shm_size": "128G",
    "ignore_black_area": False,
}
DOCUMENTED_MINING = {
    "mining_algorithm": "RSAL",
    "superpixel_algorithm": "slico",
    "uncertainty_method": "BvSB",
    "shm_size": "128G",
    "max_superpixel_per_image": 1024,
    "max_kept_mining_image": 5000,
    "topk_superpixel_score": 3,
    "class_balance": True,
    "fp16": True,
    "samples_per_gpu": 2,
    "workers_per_gpu": 2,
    "ripu_region_radius": 1,
}


@pytest.mark.parametrize(
    ("table", "documented"), [(TrainingParameters, DOCUMENTED_TRAINING), (MiningParameters, DOCUMENTED_MINING)]
)
def test_defaults_are_the_documented_ones(table, documented):
    parameters = read_parameters(table, {}, source="config.yaml")
    assert {name: getattr(parameters, name) for name in documented} == documented


@pytest.mark.parametrize("text", ["True", "true", "1", "yes", "on", " TRUE "])
@pytest.mark.parametrize("false_text", ["False", "false", "0", "no", "off"])
def test_truth_values_as_people_write_them(text, false_text):
    given = read_parameters(MiningParameters, {"class_balance": text, "fp16": false_text}, source="c")
    assert given.class_balance is True
    assert given.fp16 is False


def test_numbers_and_choices_as_people_write_them():
    given = read_parameters(
        MiningParameters,
        {
            "samples_per_gpu": "4",
            "topk_superpixel_score": 5.0,
            "mining_algorithm": "ripu",
            "superpixel_algorithm": "SEEDS",
        },
        source="c",
    )
    assert (given.samples_per_gpu, given.topk_superpixel_score) == (4, 5)
    assert (given.mining_algorithm, given.superpixel_algorithm) == ("RIPU", "seeds")


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_an_empty_value_is_the_default(nothing):
    given = read_parameters(TrainingParameters, dict.fromkeys(DOCUMENTED_TRAINING, nothing), source="c")
    assert given == read_parameters(TrainingParameters, {}, source="c")


@pytest.mark.parametrize(
    ("table", "key", "value", "allowed"),
    [
        (TrainingParameters, "max_iters", "many", "a whole number from 1 to 2147483647"),
        (TrainingParameters, "max_iters", 0, "a whole number from 1 to 2147483647"),
        (TrainingParameters, "max_iters", 2**31, "a whole number from 1 to 2147483647"),
        (TrainingParameters, "interval", 2.5, "a whole number from 1 to 9223372036854775807"),
        (TrainingParameters, "samples_per_gpu", True, "a whole number from 1 to 4096"),
        (TrainingParameters, "samples_per_gpu", 10**12, "a whole number from 1 to 4096"),
        (TrainingParameters, "workers_per_gpu", -1, "a whole number from 0 to 256"),
        (InferParameters, "workers_per_gpu", 257, "a whole number from 0 to 256"),
        (TrainingParameters, "max_keep_ckpts", 0, "-1 or a whole number from 1 to 9223372036854775807"),
        (TrainingParameters, "max_keep_ckpts", -2, "-1 or a whole number from 1 to 9223372036854775807"),
        (TrainingParameters, "save_least_file", "perhaps", "True or False"),
        (TrainingParameters, "export_format", "voc", "one of seg-coco:raw, seg-mask:raw"),
        (TrainingParameters, "crop_size", "480", "WIDTHxHEIGHT in pixels such as 480x360, or empty"),
        (TrainingParameters, "config_file", ["a"], "text"),
        (TrainingParameters, "ignore_blank_area", "perhaps", "True or False"),
        (InferParameters, "image_size", "0x10", "WIDTHxHEIGHT in pixels such as 480x360, or empty"),
        (InferParameters, "image_size", [480, 360], "WIDTHxHEIGHT in pixels such as 480x360, or empty"),
        (
            MiningParameters,
            "mining_algorithm",
            "magic",
            "one of RSAL, RIPU, random, entropy, margin, least_confidence, BvSB, class_balanced, coreset, "
            "uncertainty_coreset",
        ),
        (MiningParameters, "uncertainty_method", "magic", "one of BvSB, entropy, margin, least_confidence"),
        (MiningParameters, "ripu_region_radius", -1, "a whole number from 0 to 9223372036854775807"),
        (MiningParameters, "disagreement_samples", 10**9, "a whole number from 2 to 1000"),
    ],
)
def test_wrong_values_are_refused_by_key_value_and_what_is_allowed(table, key, value, allowed):
    with pytest.raises(ParameterError) as caught:
        read_parameters(table, {key: value}, source="/in/config.yaml")
    named = "ignore_black_area" if key == "ignore_blank_area" else key
    assert str(caught.value) == f"/in/config.yaml: {named} is {value!r}, but must be {allowed}"


def test_every_wrong_key_is_named_at_once():
    with pytest.raises(ParameterError, match="max_iters is 'x'.*; interval is 'y'"):
        read_parameters(TrainingParameters, {"max_iters": "x", "interval": "y"}, source="c")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"ignore_black_area": "True"}, True),
        ({"ignore_blank_area": "True"}, True),
        ({"ignore_black_area": False, "ignore_blank_area": "True"}, True),
        ({"ignore_black_area": True, "ignore_blank_area": False}, True),
        ({"ignore_black_area": "False", "ignore_blank_area": "False"}, False),
    ],
)
def test_both_names_of_the_blank_area(values, expected):
    assert read_parameters(TrainingParameters, values, source="c").ignore_black_area is expected


@pytest.mark.parametrize(
    ("text", "size"), [("480x360", (480, 360)), (" 480 X 360 ", (480, 360)), ("480*360", (480, 360)), ("", None)]
)
def test_sizes(text, size):
    assert parse_size(text) == size
    assert read_parameters(InferParameters, {"image_size": text}, source="c").size == size


def test_parameters_cannot_be_changed():
    given = read_parameters(InferParameters, {}, source="c")
    with pytest.raises(Exception, match="frozen"):
        given.samples_per_gpu = 3


def test_unknown_keys_are_found_with_what_looks_like_them():
    values = yaml.safe_load("{max_iter: 1, gpu_id: '', class_names: [a], ignore_blank_area: true, shm_size: 1G}")
    assert unknown_keys(values) == {"max_iter": ["max_iters"]}
