"""What can be found wrong with a task's input before any heavy work, all of it at once."""

import logging
import os
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from mmseg.engine.weights_source import pretrained_addresses
from mmseg.errors import ImageError
from ymir.annotations.files import AnnotationFiles
from ymir.images.headers import Shape, image_headers
from ymir.index import IndexItem
from ymir.index_problems import count_lines, index_lines
from ymir.package import ModelPackage, choose_weights, config_file_of, package_problems, read_package_config
from ymir.problems import Problems
from ymir.task import Task
from ymir.training.arguments import parse_training_arguments
from ymir.training.config import base_config_of
from ymir.training.pretrained import choose_pretrained
from ymir.weights_file import check_weights_file

# How the progress of a training's preflight is shared: the headers of the images, then the annotations.
_HEADERS = 0.4

# Bad candidates that are skipped, of which the log tells one by one.
_WARNED = 10

_log = logging.getLogger(__name__)


def preflight_training(
    task: Task, on_progress: Callable[[float], None], files: Optional[AnnotationFiles] = None
) -> None:
    """Check the config file, the weights to start from, the index files, the headers of all images and the annotations,
    these without drawing them. All problems go to problems.txt in the output folder.

    Args:
        on_progress: told how far the checks are, 0 to 1.
        files: what the annotation files say is kept in it, for `convert_annotations`.

    Raises:
        InputError: something is wrong; it has the return code of the gravest problem.
    """
    problems, files = Problems(), AnnotationFiles.of(task) if files is None else files
    _check_config(task, problems)
    lines: List[Tuple[str, IndexItem]] = []
    for path in (task.env.input.training_index_file, task.env.input.val_index_file):
        items = [
            (f"{path}, line {number}", IndexItem(*fields))
            for number, fields in index_lines(path, ("IMAGE", "ANNOTATION"), problems)
        ]
        for error in files.read(item for _, item in items):
            problems.add(error)
        lines += items
    shapes: Dict[int, Shape] = {}
    images = ((number, item.image) for number, (_, item) in enumerate(lines))
    done = _share(on_progress, 0.0, _HEADERS, len(lines))
    for number, found in image_headers(images, task.training.max_image_pixels, done):
        if isinstance(found, ImageError):
            problems.add(found, lines[number][0])
        else:
            shapes[number] = found
    done = _share(on_progress, _HEADERS, 1.0, len(lines))
    for number, shape in shapes.items():
        where, item = lines[number]
        for error in files.check(item, shape):
            problems.add(error, where)
        done(number + 1)
    on_progress(1.0)
    problems.finish(task.env.output.root_dir)


def preflight_prediction(task: Task, on_progress: Callable[[float], None]) -> None:
    """Check the model package, the candidate index and the headers of all candidates. All problems go to problems.txt
    in the output folder.

    With on_bad_image skip, candidates that cannot be read are warnings, unless all of them are.

    Args:
        on_progress: told how far the checks are, 0 to 1.

    Raises:
        InputError: something is wrong; it has the return code of the gravest problem.
    """
    parameters, problems = task.mining or task.infer, Problems()
    _check_package(task.model_files, problems)
    path = task.env.input.candidate_index_file
    bad: List[Tuple[int, ImageError]] = []
    total = 0
    images = ((number, fields[0]) for number, fields in index_lines(path, ("IMAGE",), problems))
    done = _share(on_progress, 0.0, 1.0, count_lines(path))
    for number, found in image_headers(images, parameters.max_image_pixels, done):
        total += 1
        if isinstance(found, ImageError):
            bad.append((number, found))
    skipped = parameters.on_bad_image == "skip" and len(bad) < total
    for count, (number, error) in enumerate(bad):
        if not skipped:
            problems.add(error, f"{path}, line {number}")
        elif count < _WARNED:
            _log.warning("%s, line %d is skipped: %s", path, number, error)
    if skipped and bad:
        _log.warning("%d of %d candidates cannot be read and are skipped", len(bad), total)
    on_progress(1.0)
    problems.finish(task.env.output.root_dir)


def _check_config(task: Task, problems: Problems) -> None:
    with problems.collecting():
        arguments = parse_training_arguments(task.training.args_options)
        base = base_config_of(task, arguments)
        with problems.collecting():
            pretrained = choose_pretrained(task, arguments, base.get("load_from"), pretrained_addresses(base["model"]))
            if pretrained is not None:
                check_weights_file(pretrained, "the weights to start from are")
        with problems.collecting():
            if arguments.resume_from:
                check_weights_file(Path(arguments.resume_from), "args_options names --resume-from")


def _check_package(files: Sequence[Path], problems: Problems) -> None:
    for error in package_problems(files):
        problems.add(error)
    config = config_file_of(files)
    if config is not None and os.path.isfile(config):
        with problems.collecting():
            read_package_config(ModelPackage(config_file=config, weights_file=choose_weights(files) or Path()))


def _share(on_progress: Callable[[float], None], start: float, end: float, total: int) -> Callable[[int], None]:
    """Tells `on_progress` about a count of `total` as the part from `start` to `end` of the whole."""
    return lambda count: on_progress(start + (end - start) * min(1.0, count / max(1, total)))
