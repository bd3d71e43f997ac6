"""Training: annotations to label masks, a resolved config, mmseg's trainer, and result.yaml at every checkpoint."""

from pathlib import Path
from typing import List, Optional

from mmseg.apis import train_segmentor
from mmseg.config import Config
from mmseg.engine.callbacks import Callback, CheckpointEvent, CheckpointRecord, IterationEvent
from mmseg.engine.distributed import Rank, launch
from mmseg.engine.weights_source import WeightsSource, pretrained_addresses
from ymir.dataset import convert_annotations
from ymir.devices import devices_for
from ymir.monitor import Monitor, Share
from ymir.pretrained import choose_pretrained
from ymir.results import Stage, write_training_result
from ymir.task import OutputPaths, Task
from ymir.training_arguments import TrainingArguments, parse_training_arguments
from ymir.training_config import config_options, read_base_config, resolve_training_config

# Parts of the task's progress: after converting the annotations, after the last iteration.
_CONVERTED, _TRAINED = 0.05, 0.99


def train(task: Task, monitor: Monitor) -> None:
    """Train as the task asks."""
    devices = devices_for(task.gpu_ids)
    arguments = parse_training_arguments(task.training.args_options)
    # All that can be wrong without the data set is found out before the data set is converted.
    base, options = read_base_config(task.training.config_file), config_options(task, arguments)
    base.merge_from_dict({key: value for key, value in options.items() if key.split(".")[0] in ("model", "load_from")})
    pretrained = choose_pretrained(task, arguments, base.get("load_from"), pretrained_addresses(base["model"]))
    data = convert_annotations(task, Share(monitor, 0.0, _CONVERTED).progress)
    cfg = resolve_training_config(task, data, arguments)
    config_file = task.env.output.models_dir / Path(task.training.config_file).name
    cfg.dump(config_file)
    launch(train_share, len(devices), (task, cfg, arguments, pretrained, config_file.name, monitor), devices=devices)


def train_share(
    rank: Rank,
    task: Task,
    cfg: Config,
    arguments: TrainingArguments,
    pretrained: Optional[Path],
    config_name: str,
    monitor: Monitor,
) -> None:
    """What each process does."""
    output = task.env.output
    train_segmentor(
        cfg,
        work_dir=output.models_dir,
        device=rank.device,
        callbacks=[MonitorCallback(Share(monitor, _CONVERTED, _TRAINED)), ResultCallback(output, config_name)],
        load_weights_from=pretrained,
        # The platform's machines have no network.
        weights_source=WeightsSource(folders=(task.weights_dir,)),
        resume_from=resume_file(output, arguments),
        validate=arguments.validate,
        seed=arguments.seed,
        deterministic=arguments.deterministic,
        only_best_and_last=task.training.save_least_file,
        max_keep_ckpts=task.training.max_keep_ckpts,
        tensorboard_dir=output.tensorboard_dir,
    )


def resume_file(output: OutputPaths, arguments: TrainingArguments) -> Optional[Path]:
    """The checkpoint to go on from: the one of --resume-from, or with --auto-resume the latest in the output folder,
    if there is one."""
    if arguments.resume_from:
        return Path(arguments.resume_from)
    latest = output.models_dir / "latest.pth"
    return latest if arguments.auto_resume and latest.is_file() else None


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
            return  # Nothing was evaluated yet; the platform needs scores.
        stages = [self._stage(f"{record.kind}_{record.iteration}", record) for record in self._further(event)]
        stages += [self._stage("best", event.best), self._stage("last", event.latest)]
        write_training_result(self._path, stages, best="best", evaluation=event.best.metrics)

    def _further(self, event: CheckpointEvent) -> List[CheckpointRecord]:
        others = [record for record in event.kept if record.path not in (event.best.path, event.latest.path)]
        return sorted(others, key=lambda record: record.iteration)

    def _stage(self, name: str, record: CheckpointRecord) -> Stage:
        # Weights that were not evaluated have no scores of their own; the contract wants numbers.
        metrics = record.metrics or {"mIoU": 0.0, "mAcc": 0.0}
        return Stage(
            name=name,
            files=(self._config_name, record.path.name),
            timestamp=int(record.path.stat().st_mtime),
            miou=metrics["mIoU"],
            macc=metrics["mAcc"],
        )
