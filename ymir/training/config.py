"""The resolved config of a training: the config file, then what the data set dictates, then the hyper-parameters,
then the options people typed."""

import logging
import os
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from mmseg.config import Config, parse_overrides, split_overrides
from mmseg.datasets.palette import generate_palette
from mmseg.models import HEADS
from ymir.dataset import TrainingData
from ymir.errors import ParameterError
from ymir.task import Task
from ymir.training.arguments import TrainingArguments

CODE_ROOT = Path(__file__).resolve().parents[2]

# A running mean takes some multiples of 1 / momentum iterations to forget its start.
_STATISTICS_HORIZONS = 10
_DEFAULT_MOMENTUM = 0.1

# Wrappers of data sets that a training keeps.
_KEPT_WRAPPERS = ("MultiImageMixDataset", "ClassBalancedDataset")

_log = logging.getLogger(__name__)


def resolve_training_config(task: Task, data: TrainingData, arguments: TrainingArguments) -> Config:
    """Everything that decides a training, in one config that is saved with the weights.

    Raises:
        ParameterError, ConfigError: the config file is missing or wrong, or an option names something it does not have.
    """
    cfg = read_base_config(task.training.config_file)
    _apply_data(cfg, task, data)
    _apply_parameters(cfg, task)
    cfg.merge_from_dict(config_options(task, arguments))
    cfg.seed = arguments.seed
    return cfg


def config_options(task: Task, arguments: TrainingArguments) -> Dict[str, Any]:
    """What cfg_options and the --cfg-options of args_options set, by dotted key; the latter win."""
    return parse_overrides([*split_overrides(task.training.cfg_options), *arguments.cfg_options])


def read_base_config(config_file: str) -> Config:
    """The config file that the hyper-parameter config_file names."""
    path = CODE_ROOT / config_file
    if not os.path.isfile(path):
        raise ParameterError(f"config_file is {config_file!r}, but there is no file {path}")
    cfg = Config.fromfile(path)
    if not isinstance(cfg.get("model"), dict):
        raise ParameterError(f"config_file is {config_file!r}, but that file describes no model")
    for split in ("train", "val"):
        if not isinstance(cfg.get("data", {}).get(split), (dict, list, tuple)):
            raise ParameterError(f"config_file is {config_file!r}, but that file has no data.{split}")
    return cfg


def base_config_of(task: Task, arguments: TrainingArguments) -> Config:
    """The config file with what the options say about the model and the weights to start from: what can be checked
    before the data set is known.

    Raises:
        ParameterError, ConfigError: as `resolve_training_config`.
    """
    base, options = read_base_config(task.training.config_file), config_options(task, arguments)
    base.merge_from_dict({key: value for key, value in options.items() if key.split(".")[0] in ("model", "load_from")})
    return base


def set_image_size(pipeline: Any, size: Optional[Tuple[int, int]], crop: Optional[Tuple[int, int]] = None) -> None:
    """Set the (width, height) to which a pipeline resizes images (for a mosaic: each of them), and the (width, height)
    of its crops; None leaves them as they are."""
    for transform in _transforms(pipeline):
        # The Resize inside MultiScaleFlipAug has no scale of its own.
        if size and (
            transform["type"] == "MultiScaleFlipAug" or (transform["type"] == "Resize" and "img_scale" in transform)
        ):
            transform["img_scale"] = size
        if size and transform["type"] == "RandomMosaic":
            transform["img_scale"] = (size[1], size[0])
        if crop and transform["type"] == "RandomCrop":
            transform["crop_size"] = (crop[1], crop[0])
        if crop and transform["type"] == "Pad" and "size" in transform:
            transform["size"] = (crop[1], crop[0])


def _transforms(pipeline: Any) -> Iterator[Dict[str, Any]]:
    for transform in pipeline:
        yield transform
        if isinstance(transform.get("transforms"), (list, tuple)):
            yield from _transforms(transform["transforms"])


def _apply_data(cfg: Config, task: Task, data: TrainingData) -> None:
    """Classes, palette, blank area and index files, in place of the data set that the config file was written for."""
    old = cfg.data
    common = dict(
        classes=list(data.classes),
        palette=generate_palette(len(data.classes)),
        # The masks hold 0 where nothing was annotated: a class of its own, or to be ignored.
        reduce_zero_label=not data.with_blank_area,
    )
    places = {
        "train": dict(index_file=str(data.train_index)),
        "val": dict(index_file=str(data.val_index), test_mode=True),
        "test": dict(index_file="", test_mode=True),
    }
    for split, place in places.items():
        values = dict(type="IndexDataset", **place, **common)
        cfg.data[split] = _in_place_of(old.get(split, old["val"]), values, keep_wrappers=split == "train")
        for pipeline in _pipelines(cfg.data[split]):
            for transform in _transforms(pipeline):
                if transform["type"] == "LoadAnnotations":
                    transform["reduce_zero_label"] = common["reduce_zero_label"]
    _set_num_classes(cfg.model, len(data.classes))
    cfg.with_blank_area = data.with_blank_area


def _apply_parameters(cfg: Config, task: Task) -> None:
    parameters = task.training
    cfg.data.samples_per_gpu = parameters.samples_per_gpu
    cfg.data.workers_per_gpu = parameters.workers_per_gpu
    for split, crop in (("train", parameters.crop), ("val", None), ("test", None)):
        for pipeline in _pipelines(cfg.data[split]):
            set_image_size(pipeline, parameters.size, crop)
    cfg.runner = dict(type="IterBasedRunner", max_iters=parameters.max_iters)
    cfg.evaluation = dict(interval=parameters.interval, metric="mIoU", pre_eval=True, save_best="mIoU")
    cfg.checkpoint_config = dict(by_epoch=False, interval=parameters.interval, max_keep_ckpts=parameters.max_keep_ckpts)
    cfg.work_dir = str(task.env.output.models_dir)
    _fit_running_statistics(cfg.model, parameters.max_iters)


def _pipelines(dataset: Mapping[str, Any]) -> Iterator[Any]:
    """The pipelines that a sample of a data set goes through: its own, then those of the wrappers around it."""
    if "dataset" in dataset:
        yield from _pipelines(dataset["dataset"])
    if "pipeline" in dataset:
        yield dataset["pipeline"]


def _in_place_of(dataset: Any, values: Mapping[str, Any], *, keep_wrappers: bool) -> Dict[str, Any]:
    """The data set `values` with the pipeline of a config's data set, which may be wrapped or be a list of several (the
    first one's counts).

    With `keep_wrappers` the wrappers that change samples or how often they come stay around it; those that only say
    which images there are, or how long an epoch is, go.
    """
    if isinstance(dataset, (list, tuple)) and dataset:
        return _in_place_of(dataset[0], values, keep_wrappers=keep_wrappers)
    if not isinstance(dataset, dict):
        raise ParameterError("the config file has a data set without a pipeline")
    if "datasets" in dataset:
        return _in_place_of(dataset["datasets"], values, keep_wrappers=keep_wrappers)
    if "dataset" in dataset:
        inner = _in_place_of(dataset["dataset"], values, keep_wrappers=keep_wrappers)
        return {**dataset, "dataset": inner} if keep_wrappers and dataset.get("type") in _KEPT_WRAPPERS else inner
    if "pipeline" not in dataset:
        raise ParameterError("the config file has a data set without a pipeline")
    return {**values, "pipeline": dataset["pipeline"]}


def _set_num_classes(model: Mapping[str, Any], count: int) -> None:
    """Set num_classes of every head that predicts the label's classes, which STDC's head for boundaries does not; class
    weights of another number of classes no longer mean anything."""
    for part in _dicts(model):
        kind = part.get("type")
        if "num_classes" in part and (kind not in HEADS or getattr(HEADS.get(kind), "predicts_label_classes", True)):
            part["num_classes"] = count
        weights = part.get("class_weight")
        if isinstance(weights, (list, tuple)) and len(weights) != count:
            _log.warning("the config's class_weight is for %d classes, not %d, and is left out", len(weights), count)
            part["class_weight"] = None


def _fit_running_statistics(model: Mapping[str, Any], max_iters: int) -> None:
    """Raise the momentum of batch normalisation where a short run would end with statistics that remember their start.

    Fast-SCNN's published 0.01 suits its 160,000 iterations; after 200 the statistics would still be 13% initial values.
    """
    needed = min(_DEFAULT_MOMENTUM, _STATISTICS_HORIZONS / max_iters)
    slow = [part for part in _dicts(model) if isinstance(part.get("momentum"), float) and part["momentum"] < needed]
    for part in slow:
        part["momentum"] = needed
    if slow:
        _log.warning(
            "the momentum of the model's batch normalisation is raised to %g for %d iterations", needed, max_iters
        )


def _dicts(part: Any) -> Iterator[Dict[str, Any]]:
    """All dicts in a config, at any depth."""
    if isinstance(part, dict):
        yield part
    for item in part.values() if isinstance(part, dict) else part if isinstance(part, (list, tuple)) else ():
        yield from _dicts(item)
