"""The decoder of DeepLabV3+ (Chen et al., arXiv 1802.02611): separable ASPP, refined by features of an early stage."""

from typing import Any, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.aspp_head import ASPPHead
from mmseg.models.layers import ConvModule, DepthwiseSeparableConvModule, resize


@HEADS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """ASPPHead with depthwise separable convolutions, whose output is joined to the first of the feature maps.

    Args:
        c1_in_channels: channels of the first feature map; 0 leaves it out.
        c1_channels: channels that a convolution of size 1 brings it to.
        **kwargs: of ASPPHead.
    """

    def __init__(self, *, c1_in_channels: int, c1_channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if c1_in_channels < 0 or c1_channels < 0 or (c1_in_channels > 0) != (c1_channels > 0):
            raise ConfigError(
                "DepthwiseSeparableASPPHead: c1_in_channels and c1_channels are both above 0, or both 0, "
                f"not {c1_in_channels!r} and {c1_channels!r}"
            )
        self.c1_bottleneck = None
        if c1_in_channels > 0:
            self.c1_bottleneck = ConvModule(
                c1_in_channels,
                c1_channels,
                1,
                conv_cfg=self.conv_cfg,
                norm_cfg=self.norm_cfg,
                act_cfg=self.act_cfg,
            )
        self.sep_bottleneck = nn.Sequential(
            self._separable(self.channels + c1_channels, 1), self._separable(self.channels, 1)
        )

    def _separable(self, in_channels: int, dilation: int) -> nn.Module:
        return DepthwiseSeparableConvModule(
            in_channels,
            self.channels,
            3,
            padding=dilation,
            dilation=dilation,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def _branch(self, dilation: int) -> nn.Module:
        return super()._branch(dilation) if dilation == 1 else self._separable(self.in_channels, dilation)

    def forward_features(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to (B, channels, h, w), what the classifier sees; of the first one's size where that counts."""
        x = super().forward_features(features)
        if self.c1_bottleneck is not None:
            early = self.c1_bottleneck(features[0])
            x = torch.cat([resize(x, size=early.shape[2:], align_corners=self.align_corners), early], dim=1)
        return self.sep_bottleneck(x)
