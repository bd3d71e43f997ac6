"""Model packages."""

from tests.end_to_end.bad_inputs.row import BadInput
from tests.end_to_end.bad_inputs.spoiling import (
    CONFIG,
    WEIGHTS,
    cut,
    data,
    folder,
    other_network,
    other_weights,
    package_classes,
    pipe,
    remove,
    text,
    zip_of_texts,
)

ROWS = [
    BadInput("the model config is not there", "infer", 300004, ("model.py, which is not a file",), remove(CONFIG)),
    BadInput(
        "the weights are not there", "infer", 300004, ("model.pth, which is not a file",), remove(WEIGHTS), process=True
    ),
    BadInput("the weights are a folder", "infer", 300004, ("model.pth, which is a folder",), folder(WEIGHTS)),
    BadInput("the weights are a pipe", "infer", 300004, ("model.pth", "no regular file"), pipe(WEIGHTS)),
    BadInput("the weights are empty", "mining", 300004, ("model.pth, which is empty",), data(WEIGHTS, b"")),
    BadInput("the weights are a text", "infer", 300004, ("model.pth, which is a text",), text(WEIGHTS, "no weights")),
    BadInput(
        "the weights are a web page",
        "infer",
        300004,
        ("model.pth, which is a web page",),
        text(WEIGHTS, "<!DOCTYPE html><html>404</html>"),
    ),
    BadInput("the weights are truncated", "infer", 300004, ("model.pth", "truncated"), cut(WEIGHTS, 0.7), process=True),
    BadInput("the weights are another archive", "infer", 300004, ("model.pth", "zip archive"), zip_of_texts),
    BadInput(
        "the weights are of another network",
        "infer",
        300004,
        ("none of the weights fits the model",),
        other_weights,
        process=True,
    ),
    BadInput(
        "the package has no weights",
        "infer",
        300004,
        ("names no weights (.pth)",),
        lambda task: task.config["model_params_path"].pop(),
    ),
    BadInput(
        "the package has no config",
        "infer",
        300004,
        ("names no config file (.py)",),
        lambda task: task.config["model_params_path"].pop(0),
    ),
    BadInput("the model config has no model", "infer", 300004, ("model.py has no 'model'",), text(CONFIG, "lr = 1\n")),
    BadInput("the model config is no config", "infer", 300001, ("model.py",), text(CONFIG, "model = = 1\n")),
    BadInput(
        "the model config would run code",
        "infer",
        300001,
        ("model.py:1",),
        text(CONFIG, "__import__('os').system('ls')\nmodel = dict()\n"),
    ),
    BadInput("the model config names another network", "infer", 300001, ("'Magic'",), other_network),
    BadInput(
        "the package names too few classes",
        "infer",
        300004,
        ("tells 8 classes apart", "names ['sky']"),
        package_classes("sky"),
    ),
    BadInput(
        "the package names a class twice",
        "mining",
        300004,
        ("tells 8 classes apart", "none twice"),
        package_classes(*["sky"] * 8),
    ),
    BadInput(
        "the model knows other classes",
        "infer",
        300004,
        ("the model knows the classes", "none of which is among class_names ['dragon']"),
        config={"class_names": ["dragon"]},
        process=True,
    ),
]
