"""Optimizers from configs, with mmcv's rules for parameters that are treated in their own way."""

import inspect
from typing import Any, Dict, List, Mapping, Optional, Set

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.optim import Optimizer

from mmseg.engine.layer_decay import RATE_KEYS, layer_decay_groups
from mmseg.errors import ConfigError
from mmseg.registry import Registry

OPTIMIZERS = Registry("optimizer")

# LBFGS evaluates the loss several times a step, which a training by iterations does not offer.
for _name, _class in inspect.getmembers(torch.optim, inspect.isclass):
    if issubclass(_class, Optimizer) and _class is not Optimizer and _name != "LBFGS":
        OPTIMIZERS.register_module(_name)(_class)

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_MULTIPLIERS = ("norm_decay_mult", "bias_lr_mult", "bias_decay_mult", "dwconv_decay_mult")


def build_optimizer(model: nn.Module, cfg: Mapping[str, Any]) -> Optimizer:
    """The optimizer that `cfg` describes: `type` is a class of torch.optim, the rest its arguments.

    `paramwise_cfg` may hold
    - `custom_keys`: {part of a parameter's name: dict(lr_mult=…, decay_mult=…)}; the longest key found in the name
      counts, and the rules below do not apply to that parameter;
    - `norm_decay_mult`, `dwconv_decay_mult`: on the weight decay of normalisation layers and depthwise convolutions;
    - `bias_lr_mult`, `bias_decay_mult`: for biases outside normalisation layers;
    - `bypass_duplicate`: a parameter that several modules share is taken once.

    With paramwise_cfg every parameter is a group of its own, in the order of the modules, otherwise all are one group;
    mmcv does the same, so that the optimizer's state in its checkpoints fits.

    With `constructor` 'LearningRateDecayOptimizerConstructor' or 'LayerDecayOptimizerConstructor' the entries of
    paramwise_cfg are those of `mmseg.engine.layer_decay.layer_decay_groups`. Raises ConfigError.
    """
    if not isinstance(cfg, Mapping):
        raise ConfigError(f"optimizer must be a dict with the key 'type', not {cfg!r}")
    arguments = dict(cfg)
    constructor = arguments.pop("constructor", "DefaultOptimizerConstructor")
    if constructor != "DefaultOptimizerConstructor" and constructor not in RATE_KEYS:
        known = ", ".join(("DefaultOptimizerConstructor", *RATE_KEYS))
        raise ConfigError(f"optimizer.constructor must be one of {known}, not {constructor!r}")
    for name in ("lr", "weight_decay"):
        value = arguments.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ConfigError(f"optimizer.{name} must be a number, not {value!r}")
    paramwise = arguments.pop("paramwise_cfg", None)
    if paramwise and constructor in RATE_KEYS:
        parameters: Any = _layer_decay(model, constructor, paramwise, arguments)
    elif paramwise:
        rules = _ParameterRules(paramwise, lr=arguments.get("lr"), weight_decay=arguments.get("weight_decay"))
        parameters = rules.groups(model)
    else:
        parameters = list(model.parameters())
    try:
        return OPTIMIZERS.build(arguments, params=parameters)
    except (TypeError, ValueError) as error:  # what torch.optim raises on arguments out of range
        raise ConfigError(f"optimizer {cfg.get('type')}: {error}") from error


def _layer_decay(
    model: nn.Module, constructor: str, paramwise: Any, arguments: Mapping[str, Any]
) -> List[Dict[str, Any]]:
    if not isinstance(paramwise, Mapping):
        raise ConfigError(f"optimizer.paramwise_cfg must be a dict, not {paramwise!r}")
    for name in ("lr", "weight_decay"):
        if arguments.get(name) is None:
            raise ConfigError(f"optimizer.{name} must be set when optimizer.constructor is {constructor}")
    return layer_decay_groups(model, constructor, paramwise, lr=arguments["lr"], weight_decay=arguments["weight_decay"])


class _ParameterRules:
    def __init__(self, cfg: Mapping[str, Any], *, lr: Optional[float], weight_decay: Optional[float]) -> None:
        if not isinstance(cfg, Mapping):
            raise ConfigError(f"optimizer.paramwise_cfg must be a dict, not {cfg!r}")
        unknown = sorted(set(cfg) - {"custom_keys", "bypass_duplicate", *_MULTIPLIERS})
        if unknown:
            known = ", ".join(("custom_keys", "bypass_duplicate", *_MULTIPLIERS))
            raise ConfigError(f"optimizer.paramwise_cfg has no {unknown[0]!r}; known: {known}")
        custom = cfg.get("custom_keys") or {}
        if not isinstance(custom, Mapping) or not all(isinstance(value, Mapping) for value in custom.values()):
            raise ConfigError(f"optimizer.paramwise_cfg.custom_keys must be a dict of dicts, not {custom!r}")
        for key, value in custom.items():
            extra = sorted(set(value) - {"lr_mult", "decay_mult"})
            if extra:
                raise ConfigError(
                    f"optimizer.paramwise_cfg.custom_keys[{key!r}] has no {extra[0]!r}; known: lr_mult, decay_mult"
                )
        scales_decay = any("decay_mult" in value for value in custom.values())
        scales_decay = scales_decay or any(cfg.get(name) is not None for name in _MULTIPLIERS if "decay" in name)
        if scales_decay and weight_decay is None:
            raise ConfigError("optimizer.paramwise_cfg scales the weight decay, so optimizer.weight_decay must be set")
        if lr is None:
            raise ConfigError("optimizer.lr must be set when optimizer.paramwise_cfg is")

        self._lr = lr
        self._weight_decay = weight_decay
        self._multiplier = {name: 1.0 if cfg.get(name) is None else cfg[name] for name in _MULTIPLIERS}
        self._bypass_duplicate = bool(cfg.get("bypass_duplicate", False))
        self._custom = custom
        self._custom_order = sorted(sorted(custom), key=len, reverse=True)

    def groups(self, model: nn.Module) -> List[Dict[str, Any]]:
        groups: List[Dict[str, Any]] = []
        seen: Set[int] = set()
        self._add(model, "", groups, seen)
        return groups

    def _add(self, module: nn.Module, prefix: str, groups: List[Dict[str, Any]], seen: Set[int]) -> None:
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen and self._bypass_duplicate:
                continue
            seen.add(id(parameter))
            group: Dict[str, Any] = {"params": [parameter]}
            if parameter.requires_grad:
                group.update(self._options(f"{prefix}.{name}", name, module))
            groups.append(group)
        for name, child in module.named_children():
            self._add(child, f"{prefix}.{name}" if prefix else name, groups, seen)

    def _options(self, path: str, name: str, module: nn.Module) -> Dict[str, float]:
        for key in self._custom_order:
            if key in path:
                custom = self._custom[key]
                return self._scaled(custom.get("lr_mult", 1.0), custom.get("decay_mult", 1.0))

        is_norm = isinstance(module, _NORMS)
        is_depthwise = isinstance(module, nn.Conv2d) and module.in_channels == module.groups
        lr_mult = self._multiplier["bias_lr_mult"] if name == "bias" and not is_norm else 1.0
        if is_norm:
            decay_mult = self._multiplier["norm_decay_mult"]
        elif is_depthwise:
            decay_mult = self._multiplier["dwconv_decay_mult"]
        elif name == "bias":
            decay_mult = self._multiplier["bias_decay_mult"]
        else:
            decay_mult = 1.0
        return self._scaled(lr_mult, decay_mult)

    def _scaled(self, lr_mult: float, decay_mult: float) -> Dict[str, float]:
        options = {"lr": self._lr * lr_mult}
        if self._weight_decay is not None:
            options["weight_decay"] = self._weight_decay * decay_mult
        return options
