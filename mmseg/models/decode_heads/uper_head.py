"""The head of UPerNet (Xiao et al., Unified Perceptual Parsing, arXiv 1807.10221)."""

from typing import Any, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import PPM, ConvModule, resize


@HEADS.register_module()
class UPerHead(DecodeHead):
    """Pyramid pooling of the coarsest input, a feature pyramid above it, and the fusion of all its levels.

    Args:
        pool_scales: the grid sizes of the pyramid pooling.
        **kwargs: of DecodeHead, with lists as `in_channels` and `in_index`, finest first.
    """

    def __init__(self, *, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs: Any) -> None:
        kwargs.setdefault("input_transform", "multiple_select")
        super().__init__(**kwargs)
        if self.input_transform != "multiple_select":
            raise ConfigError(f"UPerHead: input_transform is 'multiple_select', not {self.input_transform!r}")
        layer_types = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        *finer, coarsest = self.in_channels
        self.psp_modules = PPM(pool_scales, coarsest, self.channels, align_corners=self.align_corners, **layer_types)
        pooled_channels = coarsest + len(pool_scales) * self.channels
        self.bottleneck = ConvModule(pooled_channels, self.channels, 3, padding=1, **layer_types)
        self.lateral_convs = nn.ModuleList(
            ConvModule(channels, self.channels, 1, inplace=False, **layer_types) for channels in finer
        )
        self.fpn_convs = nn.ModuleList(
            ConvModule(self.channels, self.channels, 3, padding=1, inplace=False, **layer_types) for _ in finer
        )
        self.fpn_bottleneck = ConvModule(
            len(self.in_channels) * self.channels, self.channels, 3, padding=1, **layer_types
        )

    def forward_features(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to (B, channels, h, w) at the finest one's size, what the classifier sees."""
        *finer, coarsest = self.select_inputs(features)
        pooled = self.bottleneck(torch.cat([coarsest, *self.psp_modules(coarsest)], dim=1))
        levels = [conv(x) for conv, x in zip(self.lateral_convs, finer)] + [pooled]
        for index in range(len(levels) - 1, 0, -1):
            size = levels[index - 1].shape[2:]
            levels[index - 1] = levels[index - 1] + resize(levels[index], size=size, align_corners=self.align_corners)
        outputs = [conv(x) for conv, x in zip(self.fpn_convs, levels)] + [pooled]
        size = outputs[0].shape[2:]
        outputs = [resize(x, size=size, align_corners=self.align_corners) for x in outputs]
        return self.fpn_bottleneck(torch.cat(outputs, dim=1))

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.cls_seg(self.forward_features(features))
