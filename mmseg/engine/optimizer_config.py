"""What a config says about the step of the optimizer: clipping, precision and accumulation of gradients."""

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from mmseg.errors import ConfigError

_CLIPPING = {"grad_clip"}
_SCALING = {"loss_scale"}
_ACCUMULATION = {"cumulative_iters"}
# How mmcv's hooks talk to each other's processes; here it is known anyway.
_WITHOUT_EFFECT = {"distributed", "coalesce", "bucket_size_mb"}

# What each type takes beside `type`.
_TYPES = {
    "OptimizerHook": _CLIPPING,
    "Fp16OptimizerHook": _CLIPPING | _SCALING | _WITHOUT_EFFECT,
    "GradientCumulativeOptimizerHook": _CLIPPING | _ACCUMULATION,
    "GradientCumulativeFp16OptimizerHook": _CLIPPING | _ACCUMULATION | _SCALING | _WITHOUT_EFFECT,
}


@dataclass(frozen=True)
class StepOptions:
    """The arguments `grad_clip`, `fp16` and `cumulative_iters` of the Trainer."""

    grad_clip: Optional[Dict[str, Any]]
    fp16: Optional[Dict[str, Any]]
    cumulative_iters: int


def read_step_options(cfg: Mapping[str, Any]) -> StepOptions:
    """Read `optimizer_config` and `fp16` of a config.

    `optimizer_config` is a dict with one of these types (the first is the default):

    - OptimizerHook: grad_clip;
    - Fp16OptimizerHook: grad_clip, loss_scale;
    - GradientCumulativeOptimizerHook: grad_clip, cumulative_iters;
    - GradientCumulativeFp16OptimizerHook: all of them.

    A type with Fp16, or an entry `fp16` of the config, asks for half precision. Raises ConfigError on other types and
    keys.
    """
    options = dict(cfg.get("optimizer_config") or {})
    kind = options.pop("type", "OptimizerHook")
    if kind not in _TYPES:
        raise ConfigError(f"optimizer_config.type must be one of {', '.join(_TYPES)}, not {kind!r}")
    unknown = sorted(set(options) - _TYPES[kind], key=str)
    if unknown:
        known = ", ".join(["type", *sorted(_TYPES[kind] - _WITHOUT_EFFECT)])
        raise ConfigError(f"optimizer_config of type {kind} has no {unknown[0]!r}; known: {known}")
    fp16 = cfg.get("fp16")
    if fp16 is not None or "Fp16" in kind:
        fp16 = {**{key: options[key] for key in _SCALING & set(options)}, **(fp16 or {})}
    grad_clip, cumulative_iters = options.get("grad_clip"), options.get("cumulative_iters", 1)
    if isinstance(cumulative_iters, bool) or not isinstance(cumulative_iters, int) or cumulative_iters < 1:
        raise ConfigError(f"optimizer_config.cumulative_iters must be a whole number above 0, not {cumulative_iters!r}")
    return StepOptions(dict(grad_clip) if grad_clip is not None else None, fp16, cumulative_iters)
