"""The registries of the parts of a network, and how each is built from its part of a config."""

import difflib
import inspect
from typing import Any, Callable, Dict, Mapping, Optional

import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.registry import Registry


class ModelRegistry(Registry):
    """A registry of classes that hand arguments on to their base class by `**kwargs`.

    `Registry.build` checks the arguments against one signature; here the signatures of the base classes count too,
    so that a misspelt or a missing argument of a head is a ConfigError wherever it is declared.
    """

    def build(self, cfg: Mapping[str, Any], **defaults: Any) -> Any:
        if isinstance(cfg, Mapping) and "type" in cfg:
            given = {**defaults, **cfg}
            module = self.get(given.pop("type"))
            declared = declared_arguments(module)
            for argument in given:
                if declared is not None and argument not in declared:
                    close = difflib.get_close_matches(str(argument), declared, n=1)
                    hint = f"; did you mean {close[0]!r}?" if close else ""
                    raise ConfigError(f"{self.name} {cfg['type']} has no argument {argument!r}{hint}")
            missing = [
                name
                for name, parameter in (declared or {}).items()
                if parameter.default is inspect.Parameter.empty and name not in given
            ]
            if missing:
                raise ConfigError(f"{self.name} {cfg['type']} needs the argument {', '.join(map(repr, missing))}")
        return super().build(cfg, **defaults)


def declared_arguments(module: Callable[..., Any]) -> Optional[Dict[str, inspect.Parameter]]:
    """The named arguments of a class or function, with those of the base classes that `**kwargs` reaches.

    None when they cannot be known: a function with `**kwargs`, or `**kwargs` that no base class ends.
    """
    chain = [cls.__init__ for cls in module.__mro__ if "__init__" in vars(cls)] if inspect.isclass(module) else [module]
    declared: Dict[str, inspect.Parameter] = {}
    for function in chain:
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            named = parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
            if named and name != "self":
                declared.setdefault(name, parameter)
        if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            return declared
    return None


BACKBONES = ModelRegistry("backbone")
NECKS = ModelRegistry("neck")
HEADS = ModelRegistry("head")
LOSSES = ModelRegistry("loss")
SEGMENTORS = ModelRegistry("segmentor")
PIXEL_SAMPLERS = ModelRegistry("pixel sampler")


def build_backbone(cfg: Mapping[str, Any]) -> nn.Module:
    """A backbone: image (B, 3, H, W) to a list of feature maps, finest first."""
    return BACKBONES.build(cfg)


def build_neck(cfg: Mapping[str, Any]) -> nn.Module:
    """A neck: feature maps to feature maps."""
    return NECKS.build(cfg)


def build_head(cfg: Mapping[str, Any]) -> nn.Module:
    """A decode head: feature maps to logits (B, C, h, w)."""
    return HEADS.build(cfg)


def build_loss(cfg: Mapping[str, Any]) -> nn.Module:
    """A loss: logits (B, C, H, W) and label (B, H, W) to a number."""
    return LOSSES.build(cfg)


def build_segmentor(
    cfg: Mapping[str, Any],
    train_cfg: Optional[Mapping[str, Any]] = None,
    test_cfg: Optional[Mapping[str, Any]] = None,
) -> nn.Module:
    """The whole network of `cfg.model`.

    Args:
        cfg: the `model` part of a config.
        train_cfg, test_cfg: for configs that hold these beside `model`, as early ones do; those inside `cfg` count
            first.

    Raises:
        ConfigError: a part's type or one of its arguments does not exist, or the parts do not fit.
    """
    beside = {"train_cfg": train_cfg, "test_cfg": test_cfg}
    return SEGMENTORS.build(cfg, **{name: value for name, value in beside.items() if value is not None})
