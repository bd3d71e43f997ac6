"""The all-MLP decoder of SegFormer (Xie et al., arXiv 2105.15203, section 3.2)."""

from typing import Any, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import ConvModule, resize


@HEADS.register_module()
class SegformerHead(DecodeHead):
    """Each feature map is brought to `channels` channels and the first one's size; joined, mixed and classified.

    Args:
        interpolate_mode: of the resizing, as in torch.
        **kwargs: of DecodeHead; `in_channels` and `in_index` are lists, finest map first.
    """

    def __init__(self, *, interpolate_mode: str = "bilinear", **kwargs: Any) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        self.interpolate_mode = interpolate_mode
        self.convs = nn.ModuleList(
            ConvModule(in_channels, self.channels, 1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
            for in_channels in self.in_channels
        )
        self.fusion_conv = ConvModule(
            self.channels * len(self.in_channels), self.channels, kernel_size=1, norm_cfg=self.norm_cfg
        )

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        inputs = self.select_inputs(features)
        size = inputs[0].shape[2:]
        # A convolution of size 1 and resizing are linear and work on different dimensions, so they may change places:
        # to convolve each map at its own size costs a third of what convolving all of them at the largest does.
        kernels = self.fusion_conv.conv.weight.split(self.channels, dim=1)
        mixed = None
        for x, conv, kernel in zip(inputs, self.convs, kernels):
            part = F.conv2d(conv(x), kernel)
            part = resize(part, size=size, mode=self.interpolate_mode, align_corners=self.align_corners)
            mixed = part if mixed is None else mixed + part
        if self.fusion_conv.conv.bias is not None:
            mixed = mixed + self.fusion_conv.conv.bias.view(1, -1, 1, 1)
        if self.fusion_conv.norm is not None:
            mixed = self.fusion_conv.norm(mixed)
        return self.cls_seg(self.fusion_conv.activate(mixed))
