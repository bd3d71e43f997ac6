"""BiSeNetV2 (Yu et al., arXiv 2004.02147): a wide detail branch and a narrow semantic branch guide one another."""

from typing import Any, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.backbones.initial_weights import KAIMING
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import BaseModule, ConvModule, DepthwiseSeparableConvModule, build_norm_layer, resize
from mmseg.models.layers.activation import build_activation_layer
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]


class DetailBranch(nn.Module):
    """Three stages of plain convolutions, each halving the size. (B, in_channels, H, W) to (B, C, H/8, W/8)."""

    def __init__(
        self, in_channels: int, detail_channels: Sequence[int], *, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg
    ) -> None:
        super().__init__()
        common = {"padding": 1, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.detail_branch = nn.ModuleList()
        for index, channels in enumerate(detail_channels):
            layers = [ConvModule(in_channels, channels, 3, stride=2, **common)]
            layers += [ConvModule(channels, channels, 3, **common) for _ in range(1 if index == 0 else 2)]
            self.detail_branch.append(nn.Sequential(*layers))
            in_channels = channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.detail_branch:
            x = stage(x)
        return x


class StemBlock(nn.Module):
    """A quarter of the size by two ways, convolution and pooling. (B, in_channels, H, W) to (B, C, H/4, W/4)."""

    def __init__(self, in_channels: int, out_channels: int, *, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        half = out_channels // 2
        self.conv_first = ConvModule(in_channels, out_channels, 3, stride=2, padding=1, **common)
        self.convs = nn.Sequential(
            ConvModule(out_channels, half, 1, **common),
            ConvModule(half, out_channels, 3, stride=2, padding=1, **common),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.fuse_last = ConvModule(2 * out_channels, out_channels, 3, padding=1, **common)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_first(x)
        return self.fuse_last(torch.cat([self.convs(x), self.pool(x)], dim=1))


class GELayer(nn.Module):
    """Gather and expansion: an inverted residual whose depthwise convolution widens; with stride 2 it has two."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        exp_ratio: int,
        stride: int,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
    ) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        mid = in_channels * exp_ratio
        self.conv1 = ConvModule(in_channels, in_channels, 3, padding=1, act_cfg=act_cfg, **common)
        widen = {"padding": 1, "groups": in_channels, **common}
        if stride == 1:
            self.dwconv = nn.Sequential(ConvModule(in_channels, mid, 3, act_cfg=act_cfg, **widen))
            self.shortcut = None
        else:
            self.dwconv = nn.Sequential(
                ConvModule(in_channels, mid, 3, stride=stride, act_cfg=None, **widen),
                ConvModule(mid, mid, 3, padding=1, groups=mid, act_cfg=act_cfg, **common),
            )
            self.shortcut = nn.Sequential(
                DepthwiseSeparableConvModule(
                    in_channels, out_channels, 3, stride=stride, padding=1, norm_cfg=norm_cfg, act_cfg=None
                )
            )
        self.conv2 = nn.Sequential(ConvModule(mid, out_channels, 1, act_cfg=None, **common))
        self.act = build_activation_layer(act_cfg)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv2(self.dwconv(self.conv1(x)))
        return self.act(out + (x if self.shortcut is None else self.shortcut(x)))


class CEBlock(nn.Module):
    """Context embedding: the image's mean is added to each pixel."""

    def __init__(self, in_channels: int, out_channels: int, *, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.gap = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), build_norm_layer(norm_cfg, in_channels)[1])
        self.conv_gap = ConvModule(in_channels, out_channels, 1, **common)
        self.conv_last = ConvModule(out_channels, out_channels, 3, padding=1, **common)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_last(x + self.conv_gap(self.gap(x)))


class SemanticBranch(nn.Module):
    """The stem, stages of gather and expansion (the last is longer), context embedding."""

    def __init__(
        self,
        in_channels: int,
        semantic_channels: Sequence[int],
        *,
        exp_ratio: int,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
    ) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        last = len(semantic_channels)
        self.semantic_stages: List[str] = []
        for stage, channels in enumerate(semantic_channels, 1):
            if stage == 1:
                module: nn.Module = StemBlock(in_channels, channels, **common)
            else:
                module = nn.Sequential(
                    GELayer(in_channels, channels, exp_ratio=exp_ratio, stride=2, **common),
                    *(
                        GELayer(channels, channels, exp_ratio=exp_ratio, stride=1, **common)
                        for _ in range(3 if stage == last else 1)
                    ),
                )
            self._append(f"stage{stage}", module)
            in_channels = channels
        self._append(f"stage{last}_CEBlock", CEBlock(in_channels, in_channels, **common))

    def _append(self, name: str, module: nn.Module) -> None:
        self.semantic_stages.append(name)
        self.add_module(name, module)

    def forward(self, x: torch.Tensor) -> List[torch.Tensor]:
        outputs = []
        for name in self.semantic_stages:
            x = getattr(self, name)(x)
            outputs.append(x)
        return outputs


class BGALayer(nn.Module):
    """Bilateral guided aggregation: each branch is weighed by the other, at its own size, then both are added."""

    def __init__(self, channels: int, *, align_corners: bool, conv_cfg: Cfg, norm_cfg: Cfg, act_cfg: Cfg) -> None:
        super().__init__()
        self.align_corners = align_corners
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}

        def separable() -> nn.Module:
            return DepthwiseSeparableConvModule(
                channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=None, pw_norm_cfg=None
            )

        self.detail_dwconv = nn.Sequential(separable())
        self.detail_down = nn.Sequential(
            ConvModule(channels, channels, 3, stride=2, padding=1, act_cfg=None, **common),
            nn.AvgPool2d(3, stride=2, padding=1),
        )
        self.semantic_conv = nn.Sequential(ConvModule(channels, channels, 3, padding=1, act_cfg=None, **common))
        self.semantic_dwconv = nn.Sequential(separable())
        self.conv = ConvModule(channels, channels, 3, padding=1, act_cfg=act_cfg, **common)

    def _resize(self, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return resize(x, size=like.shape[2:], align_corners=self.align_corners)

    def forward(self, detail: torch.Tensor, semantic: torch.Tensor) -> torch.Tensor:
        """Detail (B, C, H/8, W/8) and semantic (B, C, H/32, W/32) to (B, C, H/8, W/8)."""
        fine = self.detail_dwconv(detail)
        fine = fine * torch.sigmoid(self._resize(self.semantic_conv(semantic), fine))
        coarse = self.detail_down(detail) * torch.sigmoid(self.semantic_dwconv(semantic))
        return self.conv(fine + self._resize(coarse, fine))


@BACKBONES.register_module()
class BiSeNetV2(BaseModule):
    """BiSeNetV2 without its classifiers.

    Args:
        in_channels: channels of the image.
        detail_channels: channels of the detail branch's stages.
        semantic_channels: channels of the semantic branch's stages.
        semantic_expansion_ratio: how much the semantic branch widens inside its blocks.
        bga_channels: channels of the aggregation: the same as the last of both branches.
        out_indices: which outputs, of 0 the aggregated features and 1 … the semantic stages.
        align_corners: of every resizing.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
        init_cfg: initial weights.

    Raises:
        ConfigError: the branches do not end in `bga_channels` at an eighth and a 32nd of the image, or an output does
            not exist.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        detail_channels: Sequence[int] = (64, 64, 128),
        semantic_channels: Sequence[int] = (16, 32, 64, 128),
        semantic_expansion_ratio: int = 6,
        bga_channels: int = 128,
        out_indices: Sequence[int] = (0, 1, 2, 3, 4),
        align_corners: bool = False,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg or KAIMING)
        for name, value, length in (
            ("detail_channels", detail_channels, 3),
            ("semantic_channels", semantic_channels, 4),
        ):
            if len(value) != length or value[-1] != bga_channels:
                raise ConfigError(
                    f"BiSeNetV2: {name} has {length} entries, the last of them bga_channels ({bga_channels}), "
                    f"not {value!r}"
                )
        if not out_indices or any(index not in range(len(semantic_channels) + 1) for index in out_indices):
            raise ConfigError(f"BiSeNetV2: out_indices are of 0 to {len(semantic_channels)}, not {out_indices!r}")
        self.out_indices = tuple(out_indices)
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.detail = DetailBranch(in_channels, detail_channels, **common)
        self.semantic = SemanticBranch(in_channels, semantic_channels, exp_ratio=semantic_expansion_ratio, **common)
        self.bga = BGALayer(bga_channels, align_corners=align_corners, **common)

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the outputs of `out_indices`, at 1/8 and at 1/4, 1/8, 1/16, 1/32 of it."""
        *stages, context = self.semantic(image)
        outputs = [self.bga(self.detail(image), context), *stages]
        return tuple(outputs[index] for index in self.out_indices)
