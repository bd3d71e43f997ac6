"""Initial weights, by hand and as the `init_cfg` of a config asks for them.

The random numbers come from torch's generator, which whoever builds a model seeds.
"""

from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

import torch.nn as nn

from mmseg.errors import ConfigError


def _set_bias(module: nn.Module, bias: float) -> None:
    if getattr(module, "bias", None) is not None:
        nn.init.constant_(module.bias, bias)


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Every weight `val`, every bias `bias`."""
    if getattr(module, "weight", None) is not None:
        nn.init.constant_(module.weight, val)
    _set_bias(module, bias)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Weights from a normal distribution."""
    if getattr(module, "weight", None) is not None:
        nn.init.normal_(module.weight, mean, std)
    _set_bias(module, bias)


def trunc_normal_init(
    module: nn.Module, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, bias: float = 0
) -> None:
    """Weights from a normal distribution cut off at the values `a` and `b`."""
    if getattr(module, "weight", None) is not None:
        nn.init.trunc_normal_(module.weight, mean, std, a, b)
    _set_bias(module, bias)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Weights uniform in [a, b]."""
    if getattr(module, "weight", None) is not None:
        nn.init.uniform_(module.weight, a, b)
    _set_bias(module, bias)


def xavier_init(module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = "normal") -> None:
    """Weights after Glorot and Bengio, AISTATS 2010. `distribution`: normal or uniform."""
    if getattr(module, "weight", None) is not None:
        {"normal": nn.init.xavier_normal_, "uniform": nn.init.xavier_uniform_}[distribution](module.weight, gain=gain)
    _set_bias(module, bias)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: str = "normal",
) -> None:
    """Weights after He et al., arXiv 1502.01852. `distribution`: normal or uniform."""
    if getattr(module, "weight", None) is not None:
        init = {"normal": nn.init.kaiming_normal_, "uniform": nn.init.kaiming_uniform_}[distribution]
        init(module.weight, a=a, mode=mode, nonlinearity=nonlinearity)
    _set_bias(module, bias)


_INITIALIZERS: Dict[str, Callable[..., None]] = {
    "Constant": constant_init,
    "Normal": normal_init,
    "TruncNormal": trunc_normal_init,
    "Uniform": uniform_init,
    "Xavier": xavier_init,
    "Kaiming": kaiming_init,
}


def initialize(module: nn.Module, init_cfg: Union[Mapping[str, Any], Sequence[Mapping[str, Any]]]) -> None:
    """Set the initial weights of `module` as `init_cfg` says: one dict or a list of them.

    A dict names the initialiser by `type`, the classes of layers it is for by `layer` (a base class counts too, e.g.
    `_BatchNorm`), and by `override` a child that has its own: `dict(type='Normal', std=0.01,
    override=dict(name='conv_seg'))`. `dict(type='Pretrained', checkpoint=...)` changes nothing here: a file is for
    the training to load.

    Raises:
        ConfigError: an initialiser or an argument does not exist.
    """
    for cfg in [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg:
        arguments = dict(cfg)
        layers = arguments.pop("layer", None)
        override = arguments.pop("override", None)
        if arguments.get("type") == "Pretrained":
            continue
        if layers is not None:
            names = {layers} if isinstance(layers, str) else set(layers)
            for child in module.modules():
                if names & {base.__name__ for base in type(child).__mro__}:
                    _apply(child, arguments)
        elif override is None:
            _apply(module, arguments)
        for own in [override] if isinstance(override, Mapping) else override or []:
            _override(module, own, arguments)


def _override(module: nn.Module, override: Mapping[str, Any], inherited: Mapping[str, Any]) -> None:
    """Initialise the child that `override` names, by its own initialiser or else by the inherited one."""
    arguments = dict(override)
    name = arguments.pop("name", None)
    child: Optional[nn.Module] = getattr(module, name, None) if isinstance(name, str) else None
    if child is None:
        raise ConfigError(f"init_cfg overrides {name!r}, but {type(module).__name__} has no part of that name")
    _apply(child, arguments if "type" in arguments else inherited)


def _apply(module: nn.Module, cfg: Mapping[str, Any]) -> None:
    arguments = dict(cfg)
    kind = arguments.pop("type", None)
    if kind not in _INITIALIZERS:
        raise ConfigError(f"init_cfg has the type {kind!r}; known: {', '.join(sorted(_INITIALIZERS))}, Pretrained")
    try:
        _INITIALIZERS[kind](module, **arguments)
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(f"init_cfg of type {kind} cannot be used for {type(module).__name__}: {error}") from error
