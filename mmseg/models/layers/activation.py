"""Activations by the names that configs use."""

from typing import Any, Mapping

import torch
import torch.nn as nn

from mmseg.registry import Registry

ACTIVATION_LAYERS = Registry("activation")

# The ones with an `inplace` argument; the others keep their input for the backward pass.
_IN_PLACE = ("ReLU", "ReLU6", "LeakyReLU", "ELU", "RReLU", "HSwish", "SiLU")

for _activation in (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
):
    ACTIVATION_LAYERS.register_module()(_activation)
ACTIVATION_LAYERS.register_module("HSwish")(nn.Hardswish)


@ACTIVATION_LAYERS.register_module()
class Swish(nn.Module):
    """x * sigmoid(x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


@ACTIVATION_LAYERS.register_module()
class HSigmoid(nn.Module):
    """clamp((x + bias) / divisor, min_value, max_value), the hard sigmoid of MobileNetV3 (arXiv 1905.02244)."""

    def __init__(self, bias: float = 3.0, divisor: float = 6.0, min_value: float = 0.0, max_value: float = 1.0) -> None:
        super().__init__()
        self.bias = bias
        self.divisor = divisor
        self.min_value = min_value
        self.max_value = max_value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x + self.bias) / self.divisor).clamp(self.min_value, self.max_value)


def build_activation_layer(cfg: Mapping[str, Any], *, inplace: bool = False) -> nn.Module:
    """The activation of `cfg`, e.g. `dict(type='ReLU')`. `inplace` is the default of those that can be."""
    if inplace and isinstance(cfg, Mapping) and cfg.get("type") in _IN_PLACE:
        return ACTIVATION_LAYERS.build(cfg, inplace=True)
    return ACTIVATION_LAYERS.build(cfg)
