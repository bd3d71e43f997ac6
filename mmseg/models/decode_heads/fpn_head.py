"""The semantic branch of Panoptic Feature Pyramid Networks (Kirillov et al., arXiv 1901.02446)."""

import math
from typing import Any, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import ConvModule, resize


@HEADS.register_module()
class FPNHead(DecodeHead):
    """Bring every level of a feature pyramid to the finest one's size, a convolution for each doubling; add them.

    Args:
        feature_strides: how many pixels of the image one of each level stands for, finest first.
        **kwargs: of DecodeHead, with lists as `in_channels` and `in_index`.

    Raises:
        ConfigError: not one stride for each input, or the first is not the smallest.
    """

    def __init__(self, *, feature_strides: Sequence[int], **kwargs: Any) -> None:
        kwargs.setdefault("input_transform", "multiple_select")
        super().__init__(**kwargs)
        if self.input_transform != "multiple_select":
            raise ConfigError(f"FPNHead: input_transform is 'multiple_select', not {self.input_transform!r}")
        if len(feature_strides) != len(self.in_channels):
            raise ConfigError(
                f"FPNHead: feature_strides has one entry for each of the {len(self.in_channels)} inputs, "
                f"not {feature_strides!r}"
            )
        if min(feature_strides) != feature_strides[0] or feature_strides[0] <= 0:
            raise ConfigError(
                f"FPNHead: feature_strides begin with the smallest, which is not so in {feature_strides!r}"
            )
        self.feature_strides = tuple(feature_strides)
        self.scale_heads = nn.ModuleList(
            self._scale_head(channels, stride) for channels, stride in zip(self.in_channels, feature_strides)
        )

    def _scale_head(self, in_channels: int, stride: int) -> nn.Sequential:
        doublings = int(math.log2(stride) - math.log2(self.feature_strides[0]))
        layers = []
        for index in range(max(1, doublings)):
            layers.append(
                ConvModule(
                    in_channels if index == 0 else self.channels,
                    self.channels,
                    3,
                    padding=1,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                    act_cfg=self.act_cfg,
                )
            )
            if stride != self.feature_strides[0]:
                layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=self.align_corners))
        return nn.Sequential(*layers)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        finest, *coarser = [head(x) for head, x in zip(self.scale_heads, self.select_inputs(features))]
        for x in coarser:
            finest = finest + resize(x, size=finest.shape[2:], align_corners=self.align_corners)
        return self.cls_seg(finest)
