"""STDC (Fan et al., "Rethinking BiSeNet", arXiv 2104.13188): short-term dense concatenation, and its context path."""

from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.backbones.initial_weights import choose_init_cfg
from mmseg.models.builder import BACKBONES, build_backbone
from mmseg.models.layers import AttentionRefinementModule, BaseModule, ConvModule, resize
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]

# Table 2 of the paper: strides of the modules of the last three stages.
STAGES = {
    "STDCNet1": ((2, 1), (2, 1), (2, 1)),
    "STDCNet2": ((2, 1, 1, 1), (2, 1, 1, 1, 1), (2, 1, 1)),
}


class STDCModule(nn.Module):
    """Convolutions in a row, each half as wide as the one before; all their outputs are joined.

    Args:
        in_channels, out_channels: channels before and after.
        stride: 1 or 2.
        num_convs: number of convolutions, 2 or more.
        fusion_type: 'cat' joins the outputs; 'add' adds the input, or with stride 2 a projection of it, to the joint.
        norm_cfg, act_cfg: as in ConvModule; the first convolution is followed by a ReLU whatever `act_cfg` says.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        num_convs: int,
        fusion_type: str,
        norm_cfg: Cfg,
        act_cfg: Cfg,
    ) -> None:
        super().__init__()
        self.fusion_type = fusion_type
        self.downsamples = stride == 2
        widths = [out_channels // 2**index for index in range(1, num_convs)]
        widths.append(widths[-1])
        self.layers = nn.ModuleList([ConvModule(in_channels, widths[0], 1, norm_cfg=norm_cfg)])
        if self.downsamples:
            self.downsample = self._depthwise(widths[0], norm_cfg)
            if fusion_type == "add":
                # The same module under two names: both are in published checkpoints.
                self.layers[0] = nn.Sequential(self.layers[0], self.downsample)
                self.skip: nn.Module = nn.Sequential(
                    self._depthwise(in_channels, norm_cfg),
                    ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None),
                )
            else:
                self.skip = nn.AvgPool2d(3, stride=2, padding=1)
        for before, after in zip(widths[:-1], widths[1:]):
            self.layers.append(ConvModule(before, after, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg))

    @staticmethod
    def _depthwise(channels: int, norm_cfg: Cfg) -> ConvModule:
        return ConvModule(channels, channels, 3, stride=2, padding=1, groups=channels, norm_cfg=norm_cfg, act_cfg=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H / stride, W / stride)."""
        first = out = self.layers[0](x)
        if self.fusion_type == "cat" and self.downsamples:
            first, out = self.skip(first), self.downsample(first)
        outputs = [first]
        for layer in self.layers[1:]:
            out = layer(out)
            outputs.append(out)
        joint = torch.cat(outputs, dim=1)
        if self.fusion_type == "add":
            joint = joint + (self.skip(x) if self.downsamples else x)
        return joint


class FeatureFusionModule(nn.Module):
    """Join two maps; each channel is added to itself weighed by the means over the image.

    Args:
        in_channels: channels of both maps together.
        out_channels: channels of the result.
        scale_factor: the hidden layer of the weights has `out_channels` / `scale_factor` channels.
        norm_cfg, act_cfg: as in ConvModule.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        scale_factor: int = 4,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
    ) -> None:
        super().__init__()
        hidden = out_channels // scale_factor
        self.conv0 = ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d((1, 1)),
            ConvModule(out_channels, hidden, 1, bias=False, act_cfg=act_cfg),
            ConvModule(hidden, out_channels, 1, bias=False, act_cfg=None),
            nn.Sigmoid(),
        )

    def forward(self, spatial: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        joint = self.conv0(torch.cat([spatial, context], dim=1))
        return joint + joint * self.attention(joint)


@BACKBONES.register_module()
class STDCNet(BaseModule):
    """The STDC network without its classifier: two convolutions of stride 2, then three stages of STDC modules.

    Args:
        stdc_type: 'STDCNet1' or 'STDCNet2'.
        in_channels: channels of the image.
        channels: channels of the five stages.
        bottleneck_type: 'cat' or 'add', see STDCModule.
        norm_cfg, act_cfg: types of the layers, as in ConvModule.
        num_convs: convolutions of each module.
        with_final_conv: widen the last stage to at least 1024 channels.
        pretrained: address of pre-trained weights: the same as `init_cfg=dict(type='Pretrained', checkpoint=…)`.
        init_cfg: initial weights; without it the convolutions have those of ConvModule.

    Raises:
        ConfigError: a type does not exist, there are not five channels, or fewer than two convolutions.
    """

    def __init__(
        self,
        *,
        stdc_type: str,
        in_channels: int,
        channels: Sequence[int],
        bottleneck_type: str,
        norm_cfg: Cfg,
        act_cfg: Cfg,
        num_convs: int = 4,
        with_final_conv: bool = False,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(choose_init_cfg("STDCNet", init_cfg=init_cfg, pretrained=pretrained, default=[]))
        if stdc_type not in STAGES:
            raise ConfigError(f"STDCNet: stdc_type is {' or '.join(map(repr, STAGES))}, not {stdc_type!r}")
        if bottleneck_type not in ("cat", "add"):
            raise ConfigError(f"STDCNet: bottleneck_type is 'cat' or 'add', not {bottleneck_type!r}")
        if len(channels) != 5:
            raise ConfigError(f"STDCNet: channels needs 5 entries, not {channels!r}")
        if num_convs < 2:
            raise ConfigError(f"STDCNet: num_convs is 2 or more, not {num_convs!r}")
        common = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.stages = nn.ModuleList()
        for width in channels[:2]:
            self.stages.append(ConvModule(in_channels, width, 3, stride=2, padding=1, **common))
            in_channels = width
        for width, strides in zip(channels[2:], STAGES[stdc_type]):
            modules = []
            for stride in strides:
                modules.append(
                    STDCModule(in_channels, width, stride, num_convs=num_convs, fusion_type=bottleneck_type, **common)
                )
                in_channels = width
            self.stages.append(nn.Sequential(*modules))
        self.final_conv = ConvModule(in_channels, max(1024, in_channels), 1, **common) if with_final_conv else None

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the outputs of the last three stages, at 1/8, 1/16 and 1/32 of its size."""
        outputs = []
        x = image
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        if self.final_conv is not None:
            outputs[-1] = self.final_conv(outputs[-1])
        return tuple(outputs[2:])


@BACKBONES.register_module()
class STDCContextPathNet(BaseModule):
    """A backbone whose coarse stages are refined by attention and brought up to the finest one.

    Args:
        backbone_cfg: the backbone, usually STDCNet.
        last_in_channels: channels of the backbone's last outputs, coarsest first: one for each refinement.
        out_channels: channels of the refined maps.
        ffm_cfg: arguments of FeatureFusionModule; its `in_channels` are those of the finest map and `out_channels`.
        upsample_mode, align_corners: of every resizing.
        norm_cfg: of the layers outside the backbone.
        init_cfg: initial weights; without it the convolutions have those of ConvModule.

    Raises:
        ConfigError: `ffm_cfg` has an argument that does not exist.
    """

    def __init__(
        self,
        *,
        backbone_cfg: Mapping[str, Any],
        last_in_channels: Sequence[int] = (1024, 512),
        out_channels: int = 128,
        ffm_cfg: Mapping[str, Any] = {"in_channels": 512, "out_channels": 256, "scale_factor": 4},
        upsample_mode: str = "nearest",
        align_corners: Optional[bool] = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if not last_in_channels:
            raise ConfigError("STDCContextPathNet: last_in_channels needs at least one entry")
        self.upsample_mode = upsample_mode
        self.align_corners = align_corners
        self.backbone = build_backbone(backbone_cfg)
        self.arms = nn.ModuleList()
        self.convs = nn.ModuleList()
        for channels in last_in_channels:
            self.arms.append(AttentionRefinementModule(channels, out_channels, norm_cfg=norm_cfg))
            self.convs.append(ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg))
        self.conv_avg = ConvModule(last_in_channels[0], out_channels, 1, norm_cfg=norm_cfg)
        try:
            self.ffm = FeatureFusionModule(**{"norm_cfg": norm_cfg, **ffm_cfg})
        except TypeError as error:
            raise ConfigError(f"STDCContextPathNet: ffm_cfg {dict(ffm_cfg)!r} does not fit: {error}") from error

    def _resize(self, x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        return resize(x, size=size, mode=self.upsample_mode, align_corners=self.align_corners)

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, 3, H, W) to the backbone's finest map, the refined maps (coarsest first) and the fused one.

        With STDCNet and two refinements these are at 1/8, 1/16, 1/8 and 1/8 of its size.
        """
        features = list(self.backbone(image))
        above = self._resize(self.conv_avg(F.adaptive_avg_pool2d(features[-1], 1)), features[-1].shape[2:])
        refined = []
        for index, (arm, conv) in enumerate(zip(self.arms, self.convs), 1):
            size = features[-index - 1].shape[2:]
            above = conv(self._resize(arm(features[-index]) + above, size))
            refined.append(above)
        return (features[0], *refined, self.ffm(features[0], refined[-1]))
