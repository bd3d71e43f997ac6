"""Hyper-parameters and what else stands in config.yaml."""

from typing import Any, Tuple

from tests.end_to_end.bad_inputs.row import BadInput


def _config(code: int, name: str, words: Tuple[str, ...], kind: str = "training", **config: Any) -> BadInput:
    return BadInput(name, kind, code, words, config=config)


ROWS = [
    _config(300001, "a number that is a word", ("max_iters is 'lots'", "a whole number from 1"), max_iters="lots"),
    _config(300001, "a number with a fraction", ("interval is 1.5", "a whole number"), interval=1.5),
    _config(300001, "a number that is a truth value", ("max_iters is True", "a whole number"), max_iters=True),
    _config(300001, "a number that is a list", ("samples_per_gpu is [2]", "a whole number"), samples_per_gpu=[2]),
    _config(300001, "a number that is a mapping", ("max_iters is {'a': 1}", "a whole number"), max_iters={"a": 1}),
    _config(300001, "a number that is too small", ("workers_per_gpu is -1", "from 0"), workers_per_gpu=-1),
    _config(300001, "a number that is too large", ("max_iters is 1000000", "to 2147483647"), max_iters=10**30),
    _config(300001, "a batch without limit", ("samples_per_gpu is 1000000", "to 4096"), samples_per_gpu=10**9),
    _config(300001, "processes without limit", ("workers_per_gpu is '100000'", "to 256"), workers_per_gpu="100000"),
    _config(300001, "a number that means nothing", ("max_keep_ckpts is 0", "-1 or a whole"), max_keep_ckpts=0),
    _config(
        300001, "a truth value that is a word", ("save_least_file is 'perhaps'", "True or"), save_least_file="perhaps"
    ),
    _config(300001, "a truth value that is a list", ("ignore_black_area is [True]", "True"), ignore_black_area=[True]),
    _config(
        300001, "a choice that does not exist", ("export_format is 'voc'", "one of seg-coco:raw"), export_format="voc"
    ),
    _config(
        300001,
        "a choice that is a list",
        ("mining_algorithm is ['RSAL']", "one of"),
        "mining",
        mining_algorithm=["RSAL"],
    ),
    _config(300001, "a choice that is a number", ("on_bad_image is 5", "one of fail, skip"), "infer", on_bad_image=5),
    _config(300001, "a size of one number", ("image_size is '480'", "WIDTHxHEIGHT"), image_size="480"),
    _config(300001, "a size without width", ("crop_size is '0x480'", "WIDTHxHEIGHT"), crop_size="0x480"),
    _config(300001, "a text that is a list", ("config_file is ['a.py']", "text"), config_file=["a.py"]),
    _config(300001, "a text that is a mapping", ("cfg_options is {'lr': 1}", "text"), cfg_options={"lr": 1}),
    _config(300001, "several wrong values", ("max_iters is 'x'", "interval is 0"), max_iters="x", interval=0),
    _config(
        300001,
        "wrong values of every kind",
        ("4 problems", "problems.txt", "interval is 0", "class_names is []", "gpu_id is 'x'", "1 more"),
        interval=0,
        class_names=[],
        gpu_id="x",
        pretrained_model_params=5,
    ),
    _config(300001, "an option without a value", ("lr",), cfg_options="lr"),
    _config(300001, "an option of the platform", ("args_options", "--gpus cannot be set"), args_options="--gpus 2"),
    _config(300001, "an option that does not exist", ("args_options", "--magic"), args_options="--magic"),
    _config(300001, "options with an open quote", ("args_options", "cannot be split"), args_options="--seed '1"),
    _config(300001, "a seed that is a word", ("args_options", "--seed"), args_options="--seed x"),
    _config(
        300001, "a config file that is not there", ("config_file is 'configs/none.py'",), config_file="configs/none.py"
    ),
    _config(300001, "a backbone that does not exist", ("backbone", "'Magic'"), cfg_options="model.backbone.type=Magic"),
    _config(
        300001,
        "a layer of negative width",
        ("head", "cannot be built with these arguments", "-1"),
        cfg_options="model.decode_head.channels=-1",
    ),
    _config(300001, "an optimizer that does not exist", ("Magic",), cfg_options="optimizer.type=Magic"),
    _config(300001, "one image in a batch to normalise", ("samples_per_gpu is 1", "at least 2"), samples_per_gpu=1),
    _config(300001, "GPU numbers that are words", ("gpu_id is 'a'", "GPU numbers such as 0"), gpu_id="a"),
    _config(300001, "a negative GPU number", ("gpu_id is '-1'", "GPU numbers"), gpu_id="-1"),
    _config(300001, "a GPU named twice", ("gpu_id is '0,0'", "twice"), gpu_id="0,0"),
    _config(300102, "a GPU that is not there", ("gpu_id asks for GPU 63", "usable GPU"), gpu_id="63"),
    _config(300001, "no class names", ("config.yaml: class_names is None", "a list"), class_names=None),
    _config(300001, "class names that are a text", ("class_names is 'road'", "a list"), class_names="road"),
    _config(300001, "an empty list of class names", ("class_names is []", "at least one name"), class_names=[]),
    _config(
        300001, "an empty class name", ("class_names is ['road', ' ']", "must be a name"), class_names=["road", " "]
    ),
    _config(300001, "a class name that is a list", ("class_names", "must be a name"), class_names=["road", ["car"]]),
    _config(
        300001, "a class name that is there twice", ("'road' twice", "unique"), class_names=["road", "car", "road "]
    ),
    _config(
        300001, "the class ymir_background", ("'ymir_background'", "own background"), class_names=["ymir_background"]
    ),
    _config(300001, "too many classes", ("255 names", "at most 254"), class_names=[f"class {n}" for n in range(255)]),
    _config(
        300001, "model files that are a number", ("model_params_path is 5", "a list"), "infer", model_params_path=5
    ),
    _config(300004, "no model files", ("has no model_params_path",), "infer", model_params_path=[]),
    _config(
        300004,
        "pretrained weights that are gone",
        ("gone.pth, which is not a file",),
        pretrained_model_params=["gone.pth"],
    ),
    _config(300004, "a folder of weights that is not there", ("weights_dir is '/gone'",), weights_dir="/gone"),
    _config(
        300201, "a learning rate without limit", ("NaN or infinite",), cfg_options="optimizer.lr=1e30", max_iters=20
    ),
]
