"""Fast-SCNN (Poudel et al., arXiv 1902.04502): one shallow stem feeds a fine branch and a deep coarse branch."""

from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import PPM, BaseModule, ConvModule, DepthwiseSeparableConvModule, InvertedResidual, resize
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]


class LearningToDownsample(nn.Module):
    """The stem: three convolutions of stride 2, the last two depthwise separable. (B, 3, H, W) to (B, C, H/8, W/8)."""

    def __init__(
        self,
        in_channels: int,
        dw_channels: Sequence[int],
        out_channels: int,
        *,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
        dw_act_cfg: Cfg,
    ) -> None:
        super().__init__()
        first, second = dw_channels
        halving = {"stride": 2, "padding": 1, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv = ConvModule(in_channels, first, 3, conv_cfg=conv_cfg, **halving)
        separable = {"dw_act_cfg": dw_act_cfg, **halving}
        self.dsconv1 = DepthwiseSeparableConvModule(first, second, 3, **separable)
        self.dsconv2 = DepthwiseSeparableConvModule(second, out_channels, 3, **separable)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dsconv2(self.dsconv1(self.conv(x)))


class GlobalFeatureExtractor(nn.Module):
    """The coarse branch: three stages of inverted residuals, then pyramid pooling."""

    def __init__(
        self,
        in_channels: int,
        block_channels: Sequence[int],
        out_channels: int,
        *,
        expand_ratio: int = 6,
        num_blocks: Sequence[int] = (3, 3, 3),
        strides: Sequence[int] = (2, 2, 1),
        pool_scales: Sequence[int] = (1, 2, 3, 6),
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
        align_corners: bool,
    ) -> None:
        super().__init__()
        stages = []
        for channels, blocks, stride in zip(block_channels, num_blocks, strides):
            layers = []
            for block in range(blocks):
                layers.append(
                    InvertedResidual(
                        in_channels,
                        channels,
                        stride if block == 0 else 1,
                        expand_ratio,
                        conv_cfg=conv_cfg,
                        norm_cfg=norm_cfg,
                        act_cfg=act_cfg,
                    )
                )
                in_channels = channels
            stages.append(nn.Sequential(*layers))
        self.bottleneck1, self.bottleneck2, self.bottleneck3 = stages
        layer_types = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        reduced = in_channels // len(pool_scales)
        self.ppm = PPM(pool_scales, in_channels, reduced, align_corners=align_corners, **layer_types)
        pooled_channels = in_channels + reduced * len(pool_scales)
        self.out = ConvModule(pooled_channels, out_channels, 3, padding=1, **layer_types)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bottleneck3(self.bottleneck2(self.bottleneck1(x)))
        return self.out(torch.cat([x, *self.ppm(x)], dim=1))


class FeatureFusionModule(nn.Module):
    """Sum of the fine features and the resized coarse ones, after a convolution of each."""

    def __init__(
        self,
        higher_in_channels: int,
        lower_in_channels: int,
        out_channels: int,
        *,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        dwconv_act_cfg: Cfg,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        layer_types = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.dwconv = ConvModule(
            lower_in_channels, out_channels, 3, padding=1, groups=out_channels, act_cfg=dwconv_act_cfg, **layer_types
        )
        self.conv_lower_res = ConvModule(out_channels, out_channels, 1, act_cfg=None, **layer_types)
        self.conv_higher_res = ConvModule(higher_in_channels, out_channels, 1, act_cfg=None, **layer_types)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, higher: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
        lower = resize(lower, size=higher.shape[2:], align_corners=self.align_corners)
        return self.relu(self.conv_higher_res(higher) + self.conv_lower_res(self.dwconv(lower)))


@BACKBONES.register_module()
class FastSCNN(BaseModule):
    """Fast-SCNN without its classifier.

    Args:
        in_channels: channels of the image.
        downsample_dw_channels: channels of the first two convolutions of the stem.
        global_in_channels: channels of the stem's output, where the branches part.
        global_block_channels, global_block_strides: of the three stages of the coarse branch.
        global_out_channels: channels of the coarse branch's output.
        higher_in_channels, lower_in_channels: of the fusion: the same as `global_in_channels` and
            `global_out_channels`.
        fusion_out_channels: channels of the fused features.
        out_indices: which outputs, of 0 the stem's, 1 the coarse branch's, 2 the fused features.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
        align_corners: of every resizing.
        dw_act_cfg: activation after the stem's depthwise convolutions.
        init_cfg: initial weights.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        downsample_dw_channels: Sequence[int] = (32, 48),
        global_in_channels: int = 64,
        global_block_channels: Sequence[int] = (64, 96, 128),
        global_block_strides: Sequence[int] = (2, 2, 1),
        global_out_channels: int = 128,
        higher_in_channels: int = 64,
        lower_in_channels: int = 128,
        fusion_out_channels: int = 128,
        out_indices: Sequence[int] = (0, 1, 2),
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        align_corners: bool = False,
        dw_act_cfg: Cfg = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(
            init_cfg
            or [
                {"type": "Kaiming", "layer": "Conv2d"},
                {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
            ]
        )
        if global_in_channels != higher_in_channels:
            raise ConfigError(
                f"FastSCNN: global_in_channels ({global_in_channels}) and higher_in_channels ({higher_in_channels}) "
                "must be equal"
            )
        if global_out_channels != lower_in_channels:
            raise ConfigError(
                f"FastSCNN: global_out_channels ({global_out_channels}) and lower_in_channels ({lower_in_channels}) "
                "must be equal"
            )
        for name, value, length in (
            ("downsample_dw_channels", downsample_dw_channels, 2),
            ("global_block_channels", global_block_channels, 3),
            ("global_block_strides", global_block_strides, 3),
        ):
            if len(value) != length:
                raise ConfigError(f"FastSCNN: {name} has {length} entries, not {len(value)}: {value!r}")
        if not out_indices or any(index not in (0, 1, 2) for index in out_indices):
            raise ConfigError(f"FastSCNN: out_indices are of 0, 1 and 2, not {out_indices!r}")
        self.out_indices = tuple(out_indices)
        self.learning_to_downsample = LearningToDownsample(
            in_channels,
            downsample_dw_channels,
            global_in_channels,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            dw_act_cfg=dw_act_cfg,
        )
        self.global_feature_extractor = GlobalFeatureExtractor(
            global_in_channels,
            global_block_channels,
            global_out_channels,
            strides=global_block_strides,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            align_corners=align_corners,
        )
        self.feature_fusion = FeatureFusionModule(
            higher_in_channels,
            lower_in_channels,
            fusion_out_channels,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            dwconv_act_cfg=act_cfg,
            align_corners=align_corners,
        )

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the outputs of `out_indices`, at 1/8, 1/32 and 1/8 of its size."""
        higher = self.learning_to_downsample(image)
        lower = self.global_feature_extractor(higher)
        outputs = (higher, lower, self.feature_fusion(higher, lower))
        return tuple(outputs[index] for index in self.out_indices)
