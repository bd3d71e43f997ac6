"""Depthwise separable convolution (Chollet, Xception, arXiv 1610.02357)."""

from typing import Any, Mapping, Optional, Union

import torch
import torch.nn as nn

from mmseg.models.layers.conv_module import ConvModule, Size

# An argument that is not given falls back to another; None already means "no such layer".
_DEFAULT = "default"
Choice = Union[str, Mapping[str, Any], None]


class DepthwiseSeparableConvModule(nn.Module):
    """A convolution of each channel by itself (`depthwise_conv`), then one of size 1 over the channels
    (`pointwise_conv`).

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation: `stride`, `padding` and `dilation` are of the
            depthwise convolution.
        norm_cfg, act_cfg: of both convolutions.
        dw_norm_cfg, dw_act_cfg, pw_norm_cfg, pw_act_cfg: of one of them; 'default' is `norm_cfg` or `act_cfg`.
        **kwargs: further arguments of both ConvModules.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        norm_cfg: Optional[Mapping[str, Any]] = None,
        act_cfg: Optional[Mapping[str, Any]] = {"type": "ReLU"},
        dw_norm_cfg: Choice = _DEFAULT,
        dw_act_cfg: Choice = _DEFAULT,
        pw_norm_cfg: Choice = _DEFAULT,
        pw_act_cfg: Choice = _DEFAULT,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            norm_cfg=norm_cfg if dw_norm_cfg == _DEFAULT else dw_norm_cfg,
            act_cfg=act_cfg if dw_act_cfg == _DEFAULT else dw_act_cfg,
            **kwargs,
        )
        self.pointwise_conv = ConvModule(
            in_channels,
            out_channels,
            1,
            norm_cfg=norm_cfg if pw_norm_cfg == _DEFAULT else pw_norm_cfg,
            act_cfg=act_cfg if pw_act_cfg == _DEFAULT else pw_act_cfg,
            **kwargs,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W')."""
        return self.pointwise_conv(self.depthwise_conv(x))
