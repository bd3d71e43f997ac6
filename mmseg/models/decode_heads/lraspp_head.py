"""The LR-ASPP head of MobileNetV3 (Howard et al., arXiv 1905.02244, section 6.4)."""

from typing import Any, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import ConvModule, resize


class LargeAveragePool(nn.Module):
    """Means over windows of 49 x 49 pixels, 16 rows and 20 columns apart, as the paper has for Cityscapes.

    A map with a smaller side is averaged over that side.
    """

    kernel_size = 49
    stride = (16, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = (min(self.kernel_size, int(x.shape[2])), min(self.kernel_size, int(x.shape[3])))
        return F.avg_pool2d(x, kernel, self.stride)


@HEADS.register_module()
class LRASPPHead(DecodeHead):
    """Coarse features, weighed by means over large windows, join finer ones step by step.

    Args:
        branch_channels: to how many channels each of the finer inputs is reduced; one entry fewer than inputs.
        **kwargs: of DecodeHead, with `input_transform='multiple_select'`; the last input is the coarsest.

    Raises:
        ConfigError: the inputs are not a list of one more than `branch_channels`.
    """

    def __init__(self, *, branch_channels: Sequence[int] = (32, 64), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.input_transform != "multiple_select" or len(self.in_channels) != len(branch_channels) + 1:
            raise ConfigError(
                f"LRASPPHead: needs input_transform='multiple_select' and {len(branch_channels) + 1} inputs, one more "
                f"than branch_channels {branch_channels!r}, not {self.input_transform!r} and {kwargs['in_channels']!r}"
            )
        common = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg, "bias": False}
        self.convs = nn.Sequential()
        self.conv_ups = nn.Sequential()
        for index, channels in enumerate(branch_channels):
            self.convs.add_module(f"conv{index}", nn.Conv2d(self.in_channels[index], channels, 1, bias=False))
            self.conv_ups.add_module(
                f"conv_up{index}", ConvModule(self.channels + channels, self.channels, 1, **common)
            )
        self.conv_up_input = nn.Conv2d(self.channels, self.channels, 1)
        self.aspp_conv = ConvModule(self.in_channels[-1], self.channels, 1, **common)
        self.image_pool = nn.Sequential(
            LargeAveragePool(),
            ConvModule(self.in_channels[-1], self.channels, 1, act_cfg={"type": "Sigmoid"}, bias=False),
        )

    def _resize(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return resize(x, size=like.shape[2:], align_corners=self.align_corners)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to logits (B, out_channels, h, w) at the size of the first input."""
        *finer, coarse = self.select_inputs(features)
        x = self.conv_up_input(self.aspp_conv(coarse) * self._resize(self.image_pool(coarse), coarse))
        for branch, conv, conv_up in zip(reversed(finer), reversed(list(self.convs)), reversed(list(self.conv_ups))):
            x = conv_up(torch.cat([self._resize(x, branch), conv(branch)], dim=1))
        return self.cls_seg(x)
