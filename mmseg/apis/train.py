"""A training, from its config to its checkpoints."""

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

from mmseg.config import Config
from mmseg.datasets import SegmentationDataset, build_dataset, build_train_loader
from mmseg.engine.callbacks import Callback, CheckpointRecord
from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.checkpoint_keeper import CheckpointKeeper
from mmseg.engine.determinism import set_determinism
from mmseg.engine.distributed import Rank, current_rank
from mmseg.engine.evaluator import build_evaluation_loader, evaluate
from mmseg.engine.initial_weights import load_initial_weights, load_pretrained_parts
from mmseg.engine.iteration_plan import plan_iterations
from mmseg.engine.json_log import JsonLogger
from mmseg.engine.optimizer_config import read_step_options
from mmseg.engine.optimizers import build_optimizer
from mmseg.engine.progress import ProgressBar
from mmseg.engine.schedules import build_schedule
from mmseg.engine.tensorboard_log import TensorBoardLogger
from mmseg.engine.trainer import Trainer, iterations_done
from mmseg.engine.version import __version__
from mmseg.engine.weights_source import WeightsSource
from mmseg.errors import ConfigError
from mmseg.models import EncoderDecoder, build_segmentor

logger = logging.getLogger("mmseg")

PathLike = Union[str, Path]

JSON_LOG = "train_log.jsonl"
_PICTURES = 4


@dataclass(frozen=True)
class TrainResult:
    """What a training leaves.

    Attributes:
        best, last: the checkpoints of the highest mIoU and of the latest weights that were evaluated; None in all
            processes but the first.
        completed: whether it came to its end; otherwise it was stopped.
        iteration: iterations done.
        newest: the checkpoint to go on from; None in all processes but the first.
    """

    best: Optional[CheckpointRecord]
    last: Optional[CheckpointRecord]
    completed: bool
    iteration: int
    newest: Optional[CheckpointRecord]


def train_segmentor(
    cfg: Config,
    *,
    work_dir: PathLike,
    seed: int,
    device: str = "cpu",
    callbacks: Sequence[Callback] = (),
    load_weights_from: Optional[PathLike] = None,
    weights_source: Optional[WeightsSource] = None,
    resume_from: Optional[PathLike] = None,
    validate: bool = True,
    deterministic: bool = False,
    only_best_and_last: bool = True,
    max_keep_ckpts: int = -1,
    tensorboard_dir: Optional[PathLike] = None,
    rank: Optional[Rank] = None,
    should_stop: Optional[Callable[[], bool]] = None,
    checkpoint_seconds: Optional[float] = None,
    meta: Optional[Mapping[str, Any]] = None,
) -> TrainResult:
    """Train the model of a config on its data.

    Read from `cfg`: model, data (train, val, samples_per_gpu, workers_per_gpu, train_dataloader, val_dataloader),
    optimizer, optimizer_config, fp16, lr_config, runner, evaluation.interval, checkpoint_config.interval,
    log_config.interval, cudnn_benchmark, find_unused_parameters.

    Args:
        cfg: the whole config; its text goes into the checkpoints.
        work_dir: for checkpoints and the JSON log.
        seed: of the initial weights, the order and augmentation of the samples, and dropout.
        device: of this process.
        callbacks: told after the JSON log, TensorBoard and the progress bar.
        load_weights_from: a checkpoint whose weights are taken as far as they fit; before the parts' own `Pretrained`.
        weights_source: where the parts' own `Pretrained` weights are looked for, see `load_pretrained_parts`.
        resume_from: a checkpoint of an interrupted run of this config, which continues as if it had not been; goes
            before `load_weights_from`.
        validate: evaluate every `evaluation.interval`; otherwise once, at the end. Without `data.val` never.
        deterministic: see `set_determinism`.
        only_best_and_last, max_keep_ckpts: see `CheckpointKeeper`.
        tensorboard_dir: None writes no events.
        rank: which process of how many this is; by default as the initialised process group says.
        should_stop, checkpoint_seconds: see `Trainer`.
        meta: plain values to keep in the checkpoints beside the usual ones.

    Raises ConfigError, DataError (ImageError), CheckpointError, NonFiniteLossError, and what a callback raises.
    """
    rank = rank if rank is not None else current_rank(device)
    _refuse_what_is_not_supported(cfg)
    set_determinism(seed, deterministic=deterministic, benchmark=bool(cfg.get("cudnn_benchmark", False)))
    model = build_segmentor(cfg["model"], train_cfg=cfg.get("train_cfg"), test_cfg=cfg.get("test_cfg"))

    data = cfg["data"]
    train_set = _dataset(data, "train", model)
    val_set = _dataset(data, "val", model) if data.get("val") is not None else None
    loading = _loading(data, "train_dataloader")
    plan = plan_iterations(
        cfg, samples=len(train_set), samples_per_iteration=loading["samples_per_gpu"] * rank.world_size
    )

    checkpoint = None
    if resume_from is not None:
        checkpoint = load_checkpoint(resume_from)
    elif load_weights_from is not None:
        load_initial_weights(model, Path(load_weights_from))
    else:
        load_pretrained_parts(model, weights_source)
    start_iteration = iterations_done(checkpoint, resume_from) if checkpoint is not None else 0

    optimizer = build_optimizer(model, cfg["optimizer"])
    step_options = read_step_options(cfg)
    train_loader = build_train_loader(
        train_set,
        **loading,
        seed=seed,
        start_iteration=start_iteration,
        rank=rank.rank,
        world_size=rank.world_size,
    )
    keeper = CheckpointKeeper(Path(work_dir), only_best_and_last=only_best_and_last, max_keep=max_keep_ckpts)
    trainer = Trainer(
        model=model,
        optimizer=optimizer,
        schedule=build_schedule(
            {"by_epoch": plan.counts_epochs, **(cfg.get("lr_config") or {"policy": "fixed"})},
            optimizer,
            plan.max_iters,
            plan.iters_per_epoch,
        ),
        train_loader=train_loader,
        max_iters=plan.max_iters,
        device=device,
        keeper=keeper,
        interval=plan.evaluation_interval if validate else plan.max_iters,
        checkpoint_interval=plan.checkpoint_interval,
        callbacks=[*_loggers(Path(work_dir), tensorboard_dir), *callbacks],
        evaluate=_evaluation(
            model, val_set, data, device, rank, _PICTURES if tensorboard_dir is not None else 0, should_stop
        ),
        grad_clip=step_options.grad_clip,
        fp16=step_options.fp16,
        cumulative_iters=step_options.cumulative_iters,
        log_interval=plan.log_interval,
        seed=seed,
        start_iteration=start_iteration,
        meta={**_meta(cfg, train_set, seed, rank), **(meta or {})},
        rank=rank.rank,
        world_size=rank.world_size,
        find_unused_parameters=bool(cfg.get("find_unused_parameters", False)),
        should_stop=should_stop,
        checkpoint_seconds=checkpoint_seconds,
    )
    if checkpoint is not None:
        _say_where_the_samples_differ(checkpoint, loading["samples_per_gpu"], rank)
        trainer.restore(checkpoint, Path(resume_from))
    try:
        reason = trainer.run()
    finally:
        train_loader.close()
    return TrainResult(keeper.best, keeper.latest, reason == "completed", trainer.iteration, keeper.newest)


def _refuse_what_is_not_supported(cfg: Mapping[str, Any]) -> None:
    for key in ("model", "data", "optimizer"):
        if not isinstance(cfg.get(key), Mapping):
            raise ConfigError(f"the config has no {key!r}, so it cannot be trained with")
    for key in ("runner", "evaluation", "checkpoint_config", "log_config", "lr_config"):
        if cfg.get(key) is not None and not isinstance(cfg[key], Mapping):
            raise ConfigError(f"{key} must be a dict, not {cfg[key]!r}")
    if cfg["data"].get("train") is None:
        raise ConfigError("the config has no data.train, so it cannot be trained with")
    if cfg.get("momentum_config"):
        raise ConfigError("momentum_config is not supported: the momentum is constant, see optimizer.momentum")
    if cfg.get("custom_hooks"):
        raise ConfigError("custom_hooks are not supported: a hook is code that this executor does not have")


def _dataset(data: Mapping[str, Any], split: str, model: EncoderDecoder) -> SegmentationDataset:
    dataset = build_dataset(data[split], {"test_mode": True} if split != "train" else None)
    if dataset.CLASSES is None:
        raise ConfigError(f"data.{split} has no classes: name them in data.{split}.classes")
    if len(dataset.CLASSES) != model.num_classes:
        raise ConfigError(
            f"data.{split} has {len(dataset.CLASSES)} classes, but the decode head's num_classes is {model.num_classes}"
        )
    return dataset


def _loading(data: Mapping[str, Any], name: str) -> Dict[str, int]:
    """Batch size and workers of a loader: `data`'s own, then what its entry `name` says."""
    given = {**data, **(data.get(name) or {})}
    settings = {"samples_per_gpu": given.get("samples_per_gpu", 1), "workers_per_gpu": given.get("workers_per_gpu", 0)}
    for (key, value), lowest in zip(settings.items(), (1, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise ConfigError(f"data.{key} must be a whole number from {lowest}, not {value!r}")
    return settings


def _evaluation(
    model: EncoderDecoder,
    dataset: Optional[SegmentationDataset],
    data: Mapping[str, Any],
    device: str,
    rank: Rank,
    pictures: int,
    should_stop: Optional[Callable[[], bool]],
) -> Optional[Callable[[], Any]]:
    if dataset is None:
        return None
    # Whole images are larger than the crops of the training, so its batch size says nothing about theirs.
    loading = _loading({**data, "samples_per_gpu": 1}, "val_dataloader")
    loader = build_evaluation_loader(dataset, **loading, rank=rank.rank, world_size=rank.world_size)
    return functools.partial(evaluate, model, loader, dataset, device, keep_pictures=pictures, should_stop=should_stop)


def _loggers(work_dir: Path, tensorboard_dir: Optional[PathLike]) -> Sequence[Callback]:
    events = [TensorBoardLogger(Path(tensorboard_dir))] if tensorboard_dir is not None else []
    return [JsonLogger(work_dir / JSON_LOG), *events, ProgressBar()]


def _say_where_the_samples_differ(checkpoint: Mapping[str, Any], samples_per_gpu: int, rank: Rank) -> None:
    processes = checkpoint["meta"].get("world_size", rank.world_size)
    if processes != rank.world_size:
        logger.warning(
            "the run that is resumed had %s processes and this one has %d, so its batches are of %d samples and others",
            processes,
            rank.world_size,
            samples_per_gpu * rank.world_size,
        )


def _meta(cfg: Config, dataset: SegmentationDataset, seed: int, rank: Rank) -> Dict[str, Any]:
    return {
        "CLASSES": list(dataset.CLASSES),
        "PALETTE": [list(colour) for colour in dataset.PALETTE] if dataset.PALETTE is not None else None,
        "config": cfg.pretty_text,
        "seed": seed,
        "world_size": rank.world_size,
        "mmseg_version": __version__,
    }
