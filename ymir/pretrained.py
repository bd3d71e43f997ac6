"""Which weights a training starts from."""

import logging
from pathlib import Path
from typing import Optional

from ymir.errors import PackageError
from ymir.package import WEIGHTS_SUFFIXES, choose_weights
from ymir.task import Task
from ymir.training_arguments import TrainingArguments

_log = logging.getLogger(__name__)


def choose_pretrained(task: Task, arguments: TrainingArguments) -> Optional[Path]:
    """The weights to start from: --load-from, else those of the task (pretrained_model_params), else a file in the
    weights folder whose name
    starts with that of the config file, as published checkpoints are called. None: train from scratch.

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
    if not task.weights_dir.is_dir():
        return None
    stem = Path(task.training.config_file).stem
    found = sorted(
        f
        for f in task.weights_dir.rglob("*")
        if f.suffix in WEIGHTS_SUFFIXES and f.name.startswith(stem) and f.is_file()
    )
    if not found:
        _log.info("no file in %s starts with %s: training from scratch", task.weights_dir, stem)
    return found[0] if found else None


def _existing(path: Path, where: str) -> Path:
    if not path.is_file():
        raise PackageError(f"{where} {path}, which is not a file")
    return path
