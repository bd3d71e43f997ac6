"""The head of OCRNet (Yuan et al., Object-Contextual Representations, arXiv 1909.11065)."""

from typing import Any, Mapping, Optional, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.cascade_decode_head import CascadeDecodeHead
from mmseg.models.layers import ConvModule, resize

Cfg = Optional[Mapping[str, Any]]


class SpatialGather(nn.Module):
    """The representation of each object region: the mean of the pixels' features, weighted by how much they belong to
    it.

    Args:
        scale: factor of the logits before the softmax over the pixels.
    """

    def __init__(self, scale: float = 1) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Features (B, C, H, W) and logits (B, K, H, W) of the regions to (B, C, K, 1)."""
        belonging = F.softmax(self.scale * logits.flatten(2), dim=2)
        regions = torch.matmul(belonging, features.flatten(2).transpose(1, 2))
        return regions.transpose(1, 2).unsqueeze(3)


class ObjectAttention(nn.Module):
    """Each pixel's features, joined to the representations of the object regions in proportion to its relation to
    each.

    Args:
        in_channels: channels of the features and of the result.
        channels: channels in which relations are measured.
        scale: above 1 the attention is computed on features whose sides are this many times shorter.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
    """

    def __init__(
        self, in_channels: int, channels: int, scale: int = 1, *, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg
    ) -> None:
        super().__init__()
        layer_types = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.channels = channels
        self.key_project = nn.Sequential(
            ConvModule(in_channels, channels, 1, **layer_types), ConvModule(channels, channels, 1, **layer_types)
        )
        self.query_project = nn.Sequential(
            ConvModule(in_channels, channels, 1, **layer_types), ConvModule(channels, channels, 1, **layer_types)
        )
        self.value_project = ConvModule(in_channels, channels, 1, **layer_types)
        self.out_project = ConvModule(channels, in_channels, 1, **layer_types)
        self.query_downsample = nn.MaxPool2d(kernel_size=scale) if scale > 1 else None
        self.bottleneck = ConvModule(in_channels * 2, in_channels, 1, **layer_types)

    def forward(self, features: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
        """Features (B, in_channels, H, W) and regions (B, in_channels, K, 1) to (B, in_channels, H, W)."""
        pixels = features if self.query_downsample is None else self.query_downsample(features)
        query = self.query_project(pixels)
        key = self.key_project(regions).flatten(2)
        value = self.value_project(regions).flatten(2)
        relation = torch.matmul(query.flatten(2).transpose(1, 2), key) * self.channels**-0.5
        context = torch.matmul(F.softmax(relation, dim=2), value.transpose(1, 2))
        context = self.out_project(context.transpose(1, 2).reshape(query.shape))
        context = resize(context, size=features.shape[2:], align_corners=False)
        return self.bottleneck(torch.cat([context, features], dim=1))


@HEADS.register_module()
class OCRHead(CascadeDecodeHead):
    """Object-contextual representations; the regions are the classes, from the logits of the head before.

    Args:
        ocr_channels: channels in which the relations of pixels and regions are measured.
        scale: factor of the logits that say which pixels belong to a region; above 1 also how much smaller the
            features are that the attention sees.
        **kwargs: of DecodeHead.
    """

    def __init__(self, *, ocr_channels: int, scale: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.input_transform == "multiple_select":
            raise ConfigError("OCRHead: input_transform is 'resize_concat' or None, not 'multiple_select'")
        if not isinstance(scale, int) or scale < 1:
            raise ConfigError(f"OCRHead: scale is a whole number above 0, not {scale!r}")
        layer_types = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        self.object_context_block = ObjectAttention(self.channels, ocr_channels, scale, **layer_types)
        self.spatial_gather_module = SpatialGather(scale)
        self.bottleneck = ConvModule(self.in_channels, self.channels, 3, padding=1, **layer_types)

    def refine(self, features: Sequence[torch.Tensor], previous: torch.Tensor) -> torch.Tensor:
        x = self.bottleneck(self.select_inputs(features))
        # The head before may see finer or coarser feature maps than this one.
        previous = resize(previous, size=x.shape[2:], align_corners=self.align_corners)
        regions = self.spatial_gather_module(x, previous)
        return self.cls_seg(self.object_context_block(x, regions))
