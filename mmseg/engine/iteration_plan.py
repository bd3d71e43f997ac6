"""How many iterations a training has, and between its evaluations, checkpoints and records in the log."""

import math
from dataclasses import dataclass
from typing import Any, Mapping

from mmseg.errors import ConfigError


@dataclass(frozen=True)
class IterationPlan:
    """Lengths of a run in iterations.

    Attributes:
        max_iters: of the whole run.
        iters_per_epoch: until every sample was drawn once.
        evaluation_interval, checkpoint_interval: between evaluations, and between checkpoints without one.
        log_interval: between records in the log.
        counts_epochs: whether the config counts epochs (EpochBasedRunner), which is then what `lr_config` means too.
    """

    max_iters: int
    iters_per_epoch: int
    evaluation_interval: int
    checkpoint_interval: int
    log_interval: int
    counts_epochs: bool


def plan_iterations(cfg: Mapping[str, Any], *, samples: int, samples_per_iteration: int) -> IterationPlan:
    """Read the plan from a config.

    `runner` is dict(type='IterBasedRunner', max_iters=…) or dict(type='EpochBasedRunner', max_epochs=…); old configs
    have `total_iters` instead. `evaluation.interval` and `checkpoint_config.interval` count what the runner counts,
    unless their `by_epoch` says otherwise. Where one of the two is missing it is the other; where both are, the run's
    length. `log_config.interval` counts iterations, by default 50. Raises ConfigError.
    """
    runner = cfg.get("runner")
    if runner is None:
        if cfg.get("total_iters") is None:
            raise ConfigError("the config has no runner, expected runner = dict(type='IterBasedRunner', max_iters=…)")
        runner = {"type": "IterBasedRunner", "max_iters": cfg["total_iters"]}
    kind = runner.get("type")
    if kind not in ("IterBasedRunner", "EpochBasedRunner"):
        raise ConfigError(f"runner.type must be 'IterBasedRunner' or 'EpochBasedRunner', not {kind!r}")
    by_epoch = kind == "EpochBasedRunner"
    iters_per_epoch = max(1, math.ceil(samples / samples_per_iteration))
    length_key = "max_epochs" if by_epoch else "max_iters"
    length = _positive(runner.get(length_key), f"runner.{length_key}")
    max_iters = length * iters_per_epoch if by_epoch else length

    intervals = {}
    for name in ("evaluation", "checkpoint_config"):
        part = cfg.get(name) or {}
        if part.get("interval") is not None:
            interval = _positive(part["interval"], f"{name}.interval")
            intervals[name] = interval * iters_per_epoch if part.get("by_epoch", by_epoch) else interval
    evaluation = intervals.get("evaluation", intervals.get("checkpoint_config", max_iters))
    return IterationPlan(
        max_iters=max_iters,
        iters_per_epoch=iters_per_epoch,
        evaluation_interval=evaluation,
        checkpoint_interval=intervals.get("checkpoint_config", evaluation),
        log_interval=_positive((cfg.get("log_config") or {}).get("interval", 50), "log_config.interval"),
        counts_epochs=by_epoch,
    )


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number above 0, not {value!r}")
    return value
