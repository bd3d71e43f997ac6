"""The inverted residual block of MobileNetV3 (Howard et al., arXiv 1905.02244)."""

from typing import Any, Mapping, Optional

import torch
import torch.nn as nn

from mmseg import torch_compat
from mmseg.errors import ConfigError
from mmseg.models.layers.conv_module import ConvModule
from mmseg.models.layers.se_layer import SELayer

Cfg = Optional[Mapping[str, Any]]


class InvertedResidualV3(nn.Module):
    """Expand the channels, convolve each by itself, weigh them, project; added to the input where shape and stride
    allow it.

    Args:
        in_channels, out_channels: channels before and after.
        mid_channels: channels of the depthwise convolution.
        kernel_size: of the depthwise convolution.
        stride: 1 or 2; with 2 that convolution pads as TensorFlow does.
        se_cfg: arguments of SELayer, or None for no such layer.
        with_expand_conv: whether there is an expansion; without it `mid_channels` and `in_channels` are equal.
        conv_cfg, norm_cfg, act_cfg: as in ConvModule; the projection has no activation.
        with_cp: compute the activations again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        se_cfg: Cfg = None,
        with_expand_conv: bool = True,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ConfigError(f"the stride of an inverted residual block is 1 or 2, not {stride!r}")
        if not with_expand_conv and mid_channels != in_channels:
            raise ConfigError(
                f"an inverted residual block without expansion has as many channels inside ({mid_channels}) as "
                f"before it ({in_channels})"
            )
        self.with_cp = with_cp
        self.with_res_shortcut = stride == 1 and in_channels == out_channels
        self.with_expand_conv = with_expand_conv
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        if with_expand_conv:
            self.expand_conv = ConvModule(in_channels, mid_channels, 1, act_cfg=act_cfg, **common)
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=mid_channels,
            conv_cfg={"type": "Conv2dAdaptivePadding"} if stride == 2 else conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        self.with_se = se_cfg is not None
        if se_cfg is not None:
            self.se = SELayer(**se_cfg)
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **common)

    def _block(self, x: torch.Tensor) -> torch.Tensor:
        out = self.expand_conv(x) if self.with_expand_conv else x
        out = self.depthwise_conv(out)
        if self.with_se:
            out = self.se(out)
        out = self.linear_conv(out)
        return x + out if self.with_res_shortcut else out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        if self.with_cp and x.requires_grad:
            return torch_compat.checkpoint_activations(self._block, x)
        return self._block(x)
