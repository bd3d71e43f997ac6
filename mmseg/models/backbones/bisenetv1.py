"""BiSeNet (Yu et al., arXiv 1808.00897): a shallow spatial path beside a deep context path."""

from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import BACKBONES, build_backbone
from mmseg.models.layers import AttentionRefinementModule, BaseModule, ConvModule, resize
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]


class SpatialPath(nn.Module):
    """Three convolutions of stride 2, one of size 1. (B, in_channels, H, W) to (B, num_channels[-1], H/8, W/8)."""

    def __init__(
        self, in_channels: int, num_channels: Sequence[int], *, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg
    ) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        first, second, third, fourth = num_channels
        self.layer1 = ConvModule(in_channels, first, 7, stride=2, padding=3, **common)
        self.layer2 = ConvModule(first, second, 3, stride=2, padding=1, **common)
        self.layer3 = ConvModule(second, third, 3, stride=2, padding=1, **common)
        self.layer4 = ConvModule(third, fourth, 1, **common)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer4(self.layer3(self.layer2(self.layer1(image))))


class ContextPath(nn.Module):
    """A backbone of four stages, the last two of which are refined by attention, with the image's mean as a start."""

    def __init__(
        self,
        backbone_cfg: Mapping[str, Any],
        context_channels: Sequence[int],
        *,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
    ) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        channels, channels16, channels32 = context_channels
        self.backbone = build_backbone(backbone_cfg)
        self.arm16 = AttentionRefinementModule(channels16, channels, **common)
        self.arm32 = AttentionRefinementModule(channels32, channels, **common)
        self.conv_head32 = ConvModule(channels, channels, 3, padding=1, **common)
        self.conv_head16 = ConvModule(channels, channels, 3, padding=1, **common)
        self.gap_conv = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), ConvModule(channels32, channels, 1, **common))

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Image to context at 1/8 and at 1/16 of its size."""
        _, x8, x16, x32 = self.backbone(image)
        up32 = resize(self.arm32(x32) + self.gap_conv(x32), size=x16.shape[2:], mode="nearest")
        up32 = self.conv_head32(up32)
        up16 = resize(self.arm16(x16) + up32, size=x8.shape[2:], mode="nearest")
        return self.conv_head16(up16), up32


class FeatureFusionModule(nn.Module):
    """Join both paths; each channel is added to itself weighed by the means over the image."""

    def __init__(self, in_channels: int, out_channels: int, *, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(in_channels, out_channels, 1, **common)
        self.gap = nn.AdaptiveAvgPool2d((1, 1))
        self.conv_atten = nn.Sequential(ConvModule(out_channels, out_channels, 1, **common), nn.Sigmoid())

    def forward(self, spatial: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        fused = self.conv1(torch.cat([spatial, context], dim=1))
        return fused + fused * self.conv_atten(self.gap(fused))


@BACKBONES.register_module()
class BiSeNetV1(BaseModule):
    """BiSeNet without its classifiers.

    Args:
        backbone_cfg: the context path's backbone, with outputs at 1/4, 1/8, 1/16 and 1/32 of the image.
        in_channels: channels of the image.
        spatial_channels: channels of the spatial path's four layers.
        context_channels: channels of the context path's output, and of the backbone's outputs at 1/16 and 1/32.
        out_indices: which outputs, of 0 the fused features, 1 the context at 1/8, 2 the context at 1/16.
        align_corners: kept for configs that name it; the paths are resized to the nearest pixel.
        out_channels: channels of the fused features.
        conv_cfg, norm_cfg, act_cfg: types of the layers outside the backbone, as in ConvModule.
        init_cfg: initial weights; without it the convolutions have those of ConvModule.

    Raises:
        ConfigError: the channels are not four and three numbers, or an output does not exist.
    """

    def __init__(
        self,
        *,
        backbone_cfg: Mapping[str, Any],
        in_channels: int = 3,
        spatial_channels: Sequence[int] = (64, 64, 64, 128),
        context_channels: Sequence[int] = (128, 256, 512),
        out_indices: Sequence[int] = (0, 1, 2),
        align_corners: bool = False,
        out_channels: int = 256,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN", "requires_grad": True},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, value, length in (
            ("spatial_channels", spatial_channels, 4),
            ("context_channels", context_channels, 3),
        ):
            if len(value) != length:
                raise ConfigError(f"BiSeNetV1: {name} needs {length} entries, not {value!r}")
        if not out_indices or any(index not in (0, 1, 2) for index in out_indices):
            raise ConfigError(f"BiSeNetV1: out_indices are of 0, 1 and 2, not {out_indices!r}")
        self.out_indices = tuple(out_indices)
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.context_path = ContextPath(backbone_cfg, context_channels, **common)
        self.spatial_path = SpatialPath(in_channels, spatial_channels, **common)
        self.ffm = FeatureFusionModule(spatial_channels[-1] + context_channels[0], out_channels, **common)

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the outputs of `out_indices`, at 1/8, 1/8 and 1/16 of its size."""
        context8, context16 = self.context_path(image)
        outputs = (self.ffm(self.spatial_path(image), context8), context8, context16)
        return tuple(outputs[index] for index in self.out_indices)
