"""The inverted residual block of MobileNetV2 (Sandler et al., arXiv 1801.04381)."""

from typing import Any, Mapping, Optional

import torch
import torch.nn as nn

from mmseg import torch_compat
from mmseg.errors import ConfigError
from mmseg.models.layers.conv_module import ConvModule


class InvertedResidual(nn.Module):
    """Expand the channels, convolve each by itself, project; added to the input where shape and stride allow it.

    Args:
        in_channels, out_channels: channels before and after.
        stride: 1 or 2.
        expand_ratio: hidden channels per input channel; 1 leaves the expansion out.
        dilation: of the depthwise convolution.
        conv_cfg, norm_cfg, act_cfg: as in ConvModule; the projection has no activation.
        with_cp: compute the activations again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        expand_ratio: float,
        *,
        dilation: int = 1,
        conv_cfg: Optional[Mapping[str, Any]] = None,
        norm_cfg: Optional[Mapping[str, Any]] = {"type": "BN"},
        act_cfg: Optional[Mapping[str, Any]] = {"type": "ReLU6"},
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ConfigError(f"the stride of an inverted residual block is 1 or 2, not {stride!r}")
        self.with_cp = with_cp
        self.use_res_connect = stride == 1 and in_channels == out_channels
        hidden = int(round(in_channels * expand_ratio))
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        layers = []
        if expand_ratio != 1:
            layers.append(ConvModule(in_channels, hidden, 1, act_cfg=act_cfg, **common))
        layers.append(
            ConvModule(
                hidden,
                hidden,
                3,
                stride=stride,
                padding=dilation,
                dilation=dilation,
                groups=hidden,
                act_cfg=act_cfg,
                **common,
            )
        )
        layers.append(ConvModule(hidden, out_channels, 1, act_cfg=None, **common))
        self.conv = nn.Sequential(*layers)

    def _block(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        if self.with_cp and x.requires_grad:
            return torch_compat.checkpoint_activations(self._block, x)
        return self._block(x)
