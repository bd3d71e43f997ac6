"""The resolved config of a training: the config file, then what the data set dictates, then the hyper-parameters,
then the options people typed."""

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from mmseg.config import Config, parse_overrides, split_overrides
from mmseg.datasets.palette import generate_palette
from ymir.dataset import TrainingData
from ymir.errors import ParameterError
from ymir.task import Task
from ymir.training_arguments import TrainingArguments

CODE_ROOT = Path(__file__).resolve().parent.parent

# A running mean takes some multiples of 1 / momentum iterations to forget its start.
_STATISTICS_HORIZONS = 10
_DEFAULT_MOMENTUM = 0.1

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
    if not path.is_file():
        raise ParameterError(f"config_file is {config_file!r}, but there is no file {path}")
    cfg = Config.fromfile(path)
    if not isinstance(cfg.get("model"), dict):
        raise ParameterError(f"config_file is {config_file!r}, but that file describes no model")
    for split in ("train", "val"):
        if not isinstance(cfg.get("data", {}).get(split), (dict, list, tuple)):
            raise ParameterError(f"config_file is {config_file!r}, but that file has no data.{split}")
    return cfg


def set_image_size(pipeline: Any, size: Optional[Tuple[int, int]], crop: Optional[Tuple[int, int]] = None) -> None:
    """Set the (width, height) to which a pipeline resizes images, and the (width, height) of its crops; None leaves
    them as they are."""
    for transform in _transforms(pipeline):
        # The Resize inside MultiScaleFlipAug has no scale of its own.
        if size and (
            transform["type"] == "MultiScaleFlipAug" or (transform["type"] == "Resize" and "img_scale" in transform)
        ):
            transform["img_scale"] = size
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
    val_pipeline = _pipeline_of(old["val"])
    splits = {
        "train": dict(
            type="IndexDataset", index_file=str(data.train_index), pipeline=_pipeline_of(old["train"]), **common
        ),
        "val": dict(
            type="IndexDataset", index_file=str(data.val_index), pipeline=val_pipeline, test_mode=True, **common
        ),
        "test": dict(
            type="IndexDataset",
            index_file="",
            pipeline=_pipeline_of(old.get("test", old["val"])),
            test_mode=True,
            **common,
        ),
    }
    for split, values in splits.items():
        cfg.data[split] = values
        for transform in _transforms(values["pipeline"]):
            if transform["type"] == "LoadAnnotations":
                transform["reduce_zero_label"] = common["reduce_zero_label"]
    _set_num_classes(cfg.model, len(data.classes))
    cfg.with_blank_area = data.with_blank_area


def _apply_parameters(cfg: Config, task: Task) -> None:
    parameters = task.training
    cfg.data.samples_per_gpu = parameters.samples_per_gpu
    cfg.data.workers_per_gpu = parameters.workers_per_gpu
    set_image_size(cfg.data.train.pipeline, parameters.size, parameters.crop)
    for split in ("val", "test"):
        set_image_size(cfg.data[split].pipeline, parameters.size)
    cfg.runner = dict(type="IterBasedRunner", max_iters=parameters.max_iters)
    cfg.evaluation = dict(interval=parameters.interval, metric="mIoU", pre_eval=True, save_best="mIoU")
    cfg.checkpoint_config = dict(by_epoch=False, interval=parameters.interval, max_keep_ckpts=parameters.max_keep_ckpts)
    cfg.work_dir = str(task.env.output.models_dir)
    _fit_running_statistics(cfg.model, parameters.max_iters)


def _pipeline_of(dataset: Any) -> List[Mapping[str, Any]]:
    """The pipeline of a data set that may be wrapped (RepeatDataset) or be a list of several."""
    while not isinstance(dataset, dict) or "pipeline" not in dataset:
        if isinstance(dataset, (list, tuple)) and dataset:
            dataset = dataset[0]
        elif isinstance(dataset, dict) and "dataset" in dataset:
            dataset = dataset["dataset"]
        else:
            raise ParameterError("the config file has a data set without a pipeline")
    return dataset["pipeline"]


def _set_num_classes(model: Mapping[str, Any], count: int) -> None:
    """Set num_classes of every head; class weights of another number of classes no longer mean anything."""
    for part in _dicts(model):
        if "num_classes" in part:
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
