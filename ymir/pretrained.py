"""Which weights a training starts from."""

import logging
from pathlib import Path
from typing import Optional

from ymir.errors import PackageError
from ymir.package import WEIGHTS_SUFFIXES, choose_weights
from ymir.task import Task
from ymir.training_arguments import TrainingArguments

_log = logging.getLogger(__name__)


def choose_pretrained(task: Task, arguments: TrainingArguments, load_from: Optional[str]) -> Optional[Path]:
    """The weights to start from: --load-from, else those of the task (pretrained_model_params), else the config's own
    `load_from`, else what the weights folder holds. None: train from scratch.

    Raises:
        PackageError: a file that was asked for does not exist, or holds no weights.
    """
    if arguments.load_from:
        return _existing(Path(arguments.load_from), "args_options names --load-from")
    if task.pretrained_files:
        weights = choose_weights(task.pretrained_files)
        if weights is None:
            raise PackageError(
                f"pretrained_model_params names no weights ({' or '.join(WEIGHTS_SUFFIXES)}): "
                f"{', '.join(map(str, task.pretrained_files))}"
            )
        return _existing(weights, "pretrained_model_params names")
    if load_from:
        return _existing(Path(load_from), "the config's load_from names")
    return _choose_from_folder(task)


def _choose_from_folder(task: Task) -> Optional[Path]:
    """The weights whose name starts with that of the config file, as published checkpoints are called.

    In a folder that the task names, the only weights there are will do as well, and none at all is an error.
    """
    stem = Path(task.training.config_file).stem
    found = sorted(f for f in task.weights_dir.rglob("*") if f.suffix in WEIGHTS_SUFFIXES and f.is_file())
    named = [f for f in found if f.name.startswith(stem)]
    if not named and task.training.weights_dir:
        if len(found) == 1:
            return found[0]
        raise PackageError(
            f"weights_dir is {task.training.weights_dir!r}, where {len(found)} weights files lie, "
            f"but none whose name starts with {stem}"
        )
    if not named:
        _log.info("no weights in %s start with %s: training from scratch", task.weights_dir, stem)
    return named[0] if named else None


def _existing(path: Path, where: str) -> Path:
    if not path.is_file():
        raise PackageError(f"{where} {path}, which is not a file")
    return path
