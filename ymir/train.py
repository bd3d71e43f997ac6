"""Training: annotations to label masks, a resolved config, mmseg's trainer, and result.yaml at every checkpoint."""

import functools
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from mmseg.apis import train_segmentor
from mmseg.apis.train import TrainResult
from mmseg.config import Config
from mmseg.engine.callbacks import Callback, CheckpointEvent, CheckpointRecord, IterationEvent
from mmseg.engine.distributed import Rank, from_first, launch
from mmseg.engine.weights_source import WeightsSource, pretrained_addresses
from mmseg.termination import StopNote, noted_signals
from ymir.annotations.files import AnnotationFiles
from ymir.dataset import convert_annotations
from ymir.devices import devices_for
from ymir.errors import TaskStopped
from ymir.monitor import Monitor, Share
from ymir.preflight import preflight_training
from ymir.results import Stage, write_training_result
from ymir.task import OutputPaths, Task
from ymir.training.arguments import TrainingArguments, parse_training_arguments
from ymir.training.config import base_config_of, resolve_training_config
from ymir.training.pretrained import choose_pretrained, starting_files
from ymir.training.resume import FINGERPRINT_KEY, find_own_checkpoint, training_fingerprint

_log = logging.getLogger(__name__)

# Parts of the task's progress: after checking the input, after converting the annotations, after the last iteration.
_CHECKED, _CONVERTED, _TRAINED = 0.01, 0.05, 0.99

# What a run that is killed loses at most, beside what the last evaluation saved.
_CHECKPOINT_SECONDS = 600.0


def train(task: Task, monitor: Monitor) -> None:
    """Train as the task asks.

    Raises:
        TaskStopped: a signal ended the training, and a checkpoint holds its state.
    """
    devices = devices_for(task.gpu_ids)
    launch(train_share, len(devices), (task, monitor), devices=devices, place=task.place)


def train_share(rank: Rank, task: Task, monitor: Monitor) -> None:
    """What each process does."""
    output = task.env.output
    prepared = from_first(functools.partial(prepare, task, monitor))
    arguments = prepared.arguments
    with noted_signals() as stop:
        result = train_segmentor(
            prepared.cfg,
            work_dir=output.models_dir,
            device=rank.device,
            callbacks=[
                MonitorCallback(Share(monitor, _CONVERTED, _TRAINED)),
                ResultCallback(output, prepared.config_file.name),
            ],
            load_weights_from=prepared.pretrained,
            # The platform's machines have no network.
            weights_source=WeightsSource(folders=(task.weights_dir,)),
            resume_from=prepared.resume_from,
            validate=arguments.validate,
            seed=arguments.seed,
            deterministic=arguments.deterministic,
            only_best_and_last=task.training.save_least_file,
            max_keep_ckpts=task.training.max_keep_ckpts,
            tensorboard_dir=output.tensorboard_dir,
            should_stop=lambda: bool(stop),
            checkpoint_seconds=_CHECKPOINT_SECONDS,
            meta={FINGERPRINT_KEY: prepared.fingerprint},
        )
    if not result.completed:
        # The first process knows where its state lies, and all say the same.
        raise from_first(functools.partial(_stopped, result, stop))


@dataclass(frozen=True)
class Prepared:
    """What all processes need to know before they train."""

    arguments: TrainingArguments
    pretrained: Optional[Path]
    cfg: Config
    config_file: Path
    fingerprint: str
    resume_from: Optional[Path]


def prepare(task: Task, monitor: Monitor) -> Prepared:
    """Check all input, convert the data set, write the resolved config, and find out where an interrupted run of this
    task stopped."""
    files = AnnotationFiles.of(task)
    preflight_training(task, Share(monitor, 0.0, _CHECKED).progress, files)
    arguments = parse_training_arguments(task.training.args_options)
    base = base_config_of(task, arguments)
    parts = pretrained_addresses(base["model"])
    pretrained = choose_pretrained(task, arguments, base.get("load_from"), parts)
    started_from = starting_files(task, pretrained, parts)
    if not started_from:
        stem = Path(task.training.config_file).stem
        _log.info("no weights in %s start with %s: training from scratch", task.weights_dir, stem)
    data = convert_annotations(task, Share(monitor, _CHECKED, _CONVERTED).progress, files)
    cfg = resolve_training_config(task, data, arguments)
    models = task.env.output.models_dir
    config_file = models / Path(task.training.config_file).name
    cfg.dump(config_file)
    fingerprint = training_fingerprint(task, arguments, cfg, started_from)
    resume_from = find_own_checkpoint(models, fingerprint, any_without_name=arguments.auto_resume)
    if resume_from is None and arguments.resume_from:
        resume_from = Path(arguments.resume_from)
    return Prepared(arguments, pretrained, cfg, config_file, fingerprint, resume_from)


def _stopped(result: TrainResult, stop: StopNote) -> TaskStopped:
    # Where it was another process that got the signal, it was the usual one.
    number = stop.request.number if stop.request is not None else signal.SIGTERM
    saved = f"; {result.newest.path} holds its state" if result.newest is not None else ""
    return TaskStopped(
        f"stopped by {signal.Signals(number).name} at iteration {result.iteration}{saved}: "
        "started again the task goes on from there",
        int(number),
    )


class MonitorCallback(Callback):
    """Tells monitor.txt how far the training is."""

    def __init__(self, share: Share) -> None:
        self._share = share

    def on_iteration(self, event: IterationEvent) -> None:
        self._share.progress(event.iteration / event.max_iters)


class ResultCallback(Callback):
    """Rewrites result.yaml at every checkpoint, so that a run that is killed leaves a usable model."""

    def __init__(self, output: OutputPaths, config_name: str) -> None:
        self._path = output.training_result_file
        self._config_name = config_name

    def on_checkpoint(self, event: CheckpointEvent) -> None:
        if event.best is None:
            # A model without scores is more than none; the contract wants numbers.
            write_training_result(self._path, [self._stage("last", event.latest)], best="last", evaluation={})
            return
        last = event.latest if event.latest.metrics is not None else event.best
        stages = [self._stage(f"{record.kind}_{record.iteration}", record) for record in self._further(event)]
        stages += [self._stage("best", event.best), self._stage("last", last)]
        write_training_result(self._path, stages, best="best", evaluation=event.best.metrics)

    def _further(self, event: CheckpointEvent) -> List[CheckpointRecord]:
        # A stage without scores of its own would look like a bad one.
        others = [
            record
            for record in event.kept
            if record.metrics is not None and record.path not in (event.best.path, event.latest.path)
        ]
        return sorted(others, key=lambda record: record.iteration)

    def _stage(self, name: str, record: CheckpointRecord) -> Stage:
        metrics = record.metrics or {"mIoU": 0.0, "mAcc": 0.0}
        return Stage(
            name=name,
            files=(self._config_name, record.path.name),
            timestamp=int(record.path.stat().st_mtime),
            miou=metrics["mIoU"],
            macc=metrics["mAcc"],
        )
