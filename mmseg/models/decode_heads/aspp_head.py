"""The head of DeepLabV3 (Chen et al., arXiv 1706.05587): atrous spatial pyramid pooling."""

from typing import Any, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import ConvModule, resize


@HEADS.register_module()
class ASPPHead(DecodeHead):
    """Convolutions of several dilations side by side with the mean over the image, a convolution, a classifier.

    Args:
        dilations: one convolution for each; it is of size 1 where the dilation is 1, else of size 3.
        **kwargs: of DecodeHead.
    """

    def __init__(self, *, dilations: Sequence[int] = (1, 6, 12, 18), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sound = isinstance(dilations, (list, tuple)) and len(dilations) > 0
        if not sound or any(not isinstance(dilation, int) or dilation < 1 for dilation in dilations):
            raise ConfigError(f"{type(self).__name__}: dilations is a list of whole numbers above 0, not {dilations!r}")
        self.dilations = tuple(dilations)
        self.image_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), self._conv(self.in_channels, 1))
        self.aspp_modules = nn.ModuleList(self._branch(dilation) for dilation in self.dilations)
        self.bottleneck = self._conv((len(self.dilations) + 1) * self.channels, 3, padding=1)

    def _conv(self, in_channels: int, kernel_size: int, **arguments: Any) -> nn.Module:
        return ConvModule(
            in_channels,
            self.channels,
            kernel_size,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
            **arguments,
        )

    def _branch(self, dilation: int) -> nn.Module:
        """The convolution of one dilation. It keeps the size of its input."""
        if dilation == 1:
            return self._conv(self.in_channels, 1)
        return self._conv(self.in_channels, 3, padding=dilation, dilation=dilation)

    def forward_features(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to (B, channels, h, w), what the classifier sees."""
        x = self.select_inputs(features)
        mean = resize(self.image_pool(x), size=x.shape[2:], align_corners=self.align_corners)
        return self.bottleneck(torch.cat([mean, *(branch(x) for branch in self.aspp_modules)], dim=1))

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.cls_seg(self.forward_features(features))
