"""What a config says about the step of the optimizer: clipping and precision."""

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

from mmseg.errors import ConfigError


@dataclass(frozen=True)
class StepOptions:
    """The arguments `grad_clip` and `fp16` of the Trainer."""

    grad_clip: Optional[Dict[str, Any]]
    fp16: Optional[Dict[str, Any]]


def read_step_options(cfg: Mapping[str, Any]) -> StepOptions:
    """Read `optimizer_config` and `fp16` of a config.

    `optimizer_config` is dict(type='OptimizerHook' or 'Fp16OptimizerHook', grad_clip=…, loss_scale=…); the second type,
    or an entry `fp16` of the config, asks for half precision. Raises ConfigError on other types and keys.
    """
    options = dict(cfg.get("optimizer_config") or {})
    kind = options.pop("type", "OptimizerHook")
    if kind not in ("OptimizerHook", "Fp16OptimizerHook"):
        raise ConfigError(f"optimizer_config.type must be 'OptimizerHook' or 'Fp16OptimizerHook', not {kind!r}")
    grad_clip = options.pop("grad_clip", None)
    scale = {"loss_scale": options.pop("loss_scale")} if "loss_scale" in options else {}
    options.pop("distributed", None)  # says what is known anyway
    if options:
        raise ConfigError(f"optimizer_config has no {sorted(options)[0]!r}; known: type, grad_clip, loss_scale")
    if scale and kind != "Fp16OptimizerHook":
        raise ConfigError("optimizer_config.loss_scale needs optimizer_config.type = 'Fp16OptimizerHook'")
    fp16 = cfg.get("fp16")
    if fp16 is not None or kind == "Fp16OptimizerHook":
        fp16 = {**scale, **(fp16 or {})}
    return StepOptions(dict(grad_clip) if grad_clip is not None else None, fp16)
