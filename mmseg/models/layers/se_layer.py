"""Squeeze and excitation (Hu et al., arXiv 1709.01507)."""

from typing import Any, Mapping, Optional, Sequence, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.layers.conv_module import ConvModule
from mmseg.models.layers.make_divisible import make_divisible

Cfg = Optional[Mapping[str, Any]]


class SELayer(nn.Module):
    """Weigh each channel by what the mean of all channels over the image says.

    Args:
        channels: channels of the input and of the output.
        ratio: the hidden layer has `channels` / `ratio` channels, made divisible by 8.
        conv_cfg: type of the convolutions.
        act_cfg: activation of the hidden layer and of the weights: one for both, or two.

    Raises:
        ConfigError: `act_cfg` is neither one activation nor two.
    """

    def __init__(
        self,
        channels: int,
        ratio: int = 16,
        *,
        conv_cfg: Cfg = None,
        act_cfg: Union[Mapping[str, Any], Sequence[Mapping[str, Any]]] = (
            {"type": "ReLU"},
            {"type": "HSigmoid", "bias": 3.0, "divisor": 6.0},
        ),
    ) -> None:
        super().__init__()
        activations = (act_cfg, act_cfg) if isinstance(act_cfg, Mapping) else tuple(act_cfg)
        if len(activations) != 2:
            raise ConfigError(f"the act_cfg of a squeeze-and-excitation layer is one or two dicts, not {act_cfg!r}")
        hidden = make_divisible(channels // ratio, 8)
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.conv1 = ConvModule(channels, hidden, 1, conv_cfg=conv_cfg, act_cfg=activations[0])
        self.conv2 = ConvModule(hidden, channels, 1, conv_cfg=conv_cfg, act_cfg=activations[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) to the same shape."""
        return x * self.conv2(self.conv1(self.global_avgpool(x)))
