"""Which weights a training starts from."""

import os
from pathlib import Path
from typing import List, Optional, Sequence

from mmseg.engine.weights_source import WeightsSource
from ymir.errors import PackageError
from ymir.package import WEIGHTS_SUFFIXES, choose_weights
from ymir.task import Task
from ymir.training.arguments import TrainingArguments


def choose_pretrained(
    task: Task, arguments: TrainingArguments, load_from: Optional[str], parts: Sequence[str] = ()
) -> Optional[Path]:
    """The weights to start from: --load-from, else those of the task (pretrained_model_params), else the config's own
    `load_from`, else what the weights folder holds. None: train from scratch, but for the weights of `parts`.

    Args:
        load_from: a file or an address, whose file is then looked for in the weights folder.
        parts: the files or addresses of weights that the config names for parts of the network, e.g. its backbone.

    Raises:
        PackageError: a file that was asked for does not exist, or holds no weights.
    """
    if arguments.load_from:
        return _existing(task, arguments.load_from, "args_options names --load-from")
    if task.pretrained_files:
        weights = choose_weights(task.pretrained_files)
        if weights is None:
            raise PackageError(
                f"pretrained_model_params names no weights ({' or '.join(WEIGHTS_SUFFIXES)}): "
                f"{', '.join(map(str, task.pretrained_files))}"
            )
        if not os.path.isfile(weights):
            raise PackageError(f"pretrained_model_params names {weights}, which is not a file")
        return weights
    if load_from:
        return _existing(task, load_from, "the config's load_from names")
    return _choose_from_folder(task, parts)


def starting_files(task: Task, chosen: Optional[Path], parts: Sequence[str]) -> List[Path]:
    """The files that a training takes weights from: the one of `choose_pretrained`, else those of `parts` that are
    here."""
    if chosen is not None:
        return [chosen]
    found = [_source(task).find_local(part) for part in parts]
    return [path for path in found if path is not None]


def _choose_from_folder(task: Task, parts: Sequence[str]) -> Optional[Path]:
    """The weights whose name starts with that of the config file, as published checkpoints are called.

    In a folder that the task names, the only weights there are will do as well, and none at all is an error, unless
    some are those of the config's parts.
    """
    stem = Path(task.training.config_file).stem
    found = sorted(f for f in task.weights_dir.rglob("*") if f.suffix in WEIGHTS_SUFFIXES and f.is_file())
    named = [f for f in found if f.name.startswith(stem)]
    if named:
        return named[0]
    if any(_source(task).find_local(part) in found for part in parts):
        return None
    if task.training.weights_dir:
        if len(found) == 1:
            return found[0]
        if not found:
            raise PackageError(f"weights_dir is {task.training.weights_dir!r}, where no weights file can be found")
        raise PackageError(
            f"weights_dir is {task.training.weights_dir!r}, where {len(found)} weights files lie, "
            f"but none whose name starts with {stem}"
        )
    return None


def _existing(task: Task, text: str, where: str) -> Path:
    if "://" in text:
        found = _source(task).find_local(text)
        if found is None:
            raise PackageError(f"{where} {text}, which is not here: {_source(task).advice(text)}")
        return found
    if not os.path.isfile(text):
        raise PackageError(f"{where} {text}, which is not a file")
    return Path(text)


def _source(task: Task) -> WeightsSource:
    return WeightsSource(folders=(task.weights_dir,))
