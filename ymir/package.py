"""Model packages: the resolved config file and the weights that belong together."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Optional, Sequence, Tuple

from mmseg.apis import init_segmentor
from mmseg.config import Config
from ymir.errors import PackageError
from ymir.task import BACKGROUND_CLASS
from ymir.weights_file import check_weights_file

WEIGHTS_SUFFIXES = (".pth", ".pt")


@dataclass(frozen=True)
class ModelPackage:
    """A complete model: its config file and its weights."""

    config_file: Path
    weights_file: Path


def choose_weights(files: Sequence[Path]) -> Optional[Path]:
    """The weights among `files`: the best ones where several lie side by side, else the first."""
    weights = [file for file in files if file.suffix in WEIGHTS_SUFFIXES]
    best = [file for file in weights if file.name.startswith("best")]
    return next(iter(best or weights), None)


def find_package(files: Sequence[Path]) -> ModelPackage:
    """The package that `files` (model_params_path) make up.

    Raises:
        PackageError: there is no config file or no weights among them, or one of the two does not exist.
    """
    for problem in package_problems(files):
        raise problem
    return ModelPackage(config_file=config_file_of(files), weights_file=choose_weights(files))


def package_problems(files: Sequence[Path]) -> Iterator[PackageError]:
    """Everything that keeps `files` from being a package, as far as it shows without reading the config."""
    if not files:
        yield PackageError(
            "config.yaml has no model_params_path, but infer and mining need a trained model: its config file "
            "(.py) and weights (.pth)"
        )
        return
    config, weights = config_file_of(files), choose_weights(files)
    for what, file in (("config file (.py)", config), ("weights (.pth)", weights)):
        if file is None:
            yield PackageError(f"model_params_path names no {what}: {', '.join(map(str, files))}")
        elif file is weights:
            try:
                check_weights_file(file, "model_params_path names")
            except PackageError as error:
                yield error
        elif not os.path.isfile(file):  # unlike Path's it takes a folder that cannot be entered
            yield PackageError(f"model_params_path names {file}, which is not a file")


def config_file_of(files: Sequence[Path]) -> Optional[Path]:
    """The config file among `files`."""
    return next((file for file in files if file.suffix == ".py"), None)


def read_package_config(package: ModelPackage) -> Config:
    """The package's config, read without executing anything and without leaving the package's folder.

    Raises:
        PackageError: it describes no model.
    """
    cfg = Config.fromfile(package.config_file, base_root=package.config_file.parent)
    if not isinstance(cfg.get("model"), dict):
        raise PackageError(f"the model config {package.config_file} has no 'model'")
    data = cfg.get("data")
    if data is not None and not isinstance(data, dict):
        raise PackageError(f"the model config {package.config_file} has a {type(data).__name__} as 'data', not a dict")
    return cfg


def load_model(package: ModelPackage, cfg: Config, device: str) -> Any:
    """The network of the package, in eval mode on `device`, with its .CLASSES."""
    model = init_segmentor(cfg, str(package.weights_file), device=device)
    if not model.CLASSES:
        raise PackageError(
            f"neither {package.config_file} nor {package.weights_file} says which classes the model knows"
        )
    if not all(isinstance(name, str) for name in model.CLASSES):
        raise PackageError(f"the classes of {package.config_file} must be names, but one of them is something else")
    if len(model.CLASSES) != model.num_classes or len(set(model.CLASSES)) != len(model.CLASSES):
        raise PackageError(
            f"the model of {package.config_file} tells {model.num_classes} classes apart, but the package names "
            f"{list(model.CLASSES)}; one name for each is expected, none twice"
        )
    return model


def class_indices(
    model_classes: Sequence[str], class_names: Sequence[str], with_blank_area: bool
) -> Tuple[Tuple[int, int], ...]:
    """Which output of the model is which entry of `class_names`: pairs (index in the model, index in class_names).

    The background class belongs to no entry. Classes the task does not ask for are left out.

    Raises:
        PackageError: the model knows none of the classes.
    """
    known = {}
    for index, name in enumerate(model_classes):
        is_background = index == 0 and (with_blank_area or name == BACKGROUND_CLASS)
        if not is_background:
            known[name] = index
    pairs = tuple((known[name], position) for position, name in enumerate(class_names) if name in known)
    if not pairs:
        raise PackageError(
            f"the model knows the classes {list(model_classes)}, none of which is among class_names {list(class_names)}"
        )
    return pairs
