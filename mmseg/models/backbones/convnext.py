"""ConvNeXt (Liu et al., arXiv 2201.03545): a ResNet with the proportions and habits of a transformer."""

from typing import Any, Dict, List, Mapping, Sequence, Tuple, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import BaseModule, build_activation_layer, build_norm_layer
from mmseg.models.layers.base_module import InitCfg
from mmseg.models.layers.drop_path import DropPath, drop_path_rates
from mmseg.models.layers.initialization import constant_init, trunc_normal_init
from mmseg.models.layers.layer_norm_2d import LayerNorm2d

_ARCHITECTURES: Dict[str, Dict[str, Sequence[int]]] = {
    "tiny": {"depths": (3, 3, 9, 3), "channels": (96, 192, 384, 768)},
    "small": {"depths": (3, 3, 27, 3), "channels": (96, 192, 384, 768)},
    "base": {"depths": (3, 3, 27, 3), "channels": (128, 256, 512, 1024)},
    "large": {"depths": (3, 3, 27, 3), "channels": (192, 384, 768, 1536)},
    "xlarge": {"depths": (3, 3, 27, 3), "channels": (256, 512, 1024, 2048)},
}
_EXPANSION = 4


class ConvNeXtBlock(nn.Module):
    """A 7 x 7 depthwise convolution, normalisation and two 1 x 1 convolutions; scaled, then added to the input.

    With `linear_pw_conv` the 1 x 1 convolutions are linear layers over the last dimension: the same numbers, other
    shapes of the weights, and no change of layout between them and the normalisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        norm_cfg: Mapping[str, Any],
        act_cfg: Mapping[str, Any],
        linear_pw_conv: bool,
        drop_path_rate: float,
        layer_scale_init_value: float,
    ) -> None:
        super().__init__()
        self.linear_pw_conv = linear_pw_conv
        self.depthwise_conv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = build_norm_layer(norm_cfg, channels)[1]
        hidden = _EXPANSION * channels
        if linear_pw_conv:
            self.pointwise_conv1: nn.Module = nn.Linear(channels, hidden)
            self.pointwise_conv2: nn.Module = nn.Linear(hidden, channels)
        else:
            self.pointwise_conv1 = nn.Conv2d(channels, hidden, 1)
            self.pointwise_conv2 = nn.Conv2d(hidden, channels, 1)
        self.act = build_activation_layer(act_cfg)
        self.gamma = nn.Parameter(layer_scale_init_value * torch.ones(channels)) if layer_scale_init_value > 0 else None
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, channels, H, W) to the same shape."""
        branch = self.depthwise_conv(x)
        if self.linear_pw_conv:
            if isinstance(self.norm, LayerNorm2d):
                branch = self.norm.normalize_last(branch.permute(0, 2, 3, 1))
            else:
                branch = self.norm(branch).permute(0, 2, 3, 1)
            branch = self.pointwise_conv2(self.act(self.pointwise_conv1(branch)))
            if self.gamma is not None:
                branch = branch * self.gamma
            branch = branch.permute(0, 3, 1, 2)
        else:
            branch = self.pointwise_conv2(self.act(self.pointwise_conv1(self.norm(branch))))
            if self.gamma is not None:
                branch = branch * self.gamma.view(1, -1, 1, 1)
        return x + self.drop_path(branch)


@BACKBONES.register_module("mmcls.ConvNeXt")
@BACKBONES.register_module()
class ConvNeXt(BaseModule):
    """ConvNeXt without its classifier.

    Args:
        arch: 'tiny', 'small', 'base', 'large' or 'xlarge', or a dict with the `depths` and `channels` of the stages.
        in_channels: channels of the image.
        stem_patch_size: kernel size and stride of the first convolution.
        norm_cfg, act_cfg: types of the layers.
        linear_pw_conv: linear layers instead of 1 x 1 convolutions in the blocks.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0 at the first.
        layer_scale_init_value: initial value of the learnt factors of the blocks; 0 or less leaves them out.
        out_indices: which stages' outputs, each with a normalisation of its own; -1 is the last.
        frozen_stages: how many stages, from the first, are not trained.
        gap_before_final_norm: pool the outputs into vectors, as for classification: refused.
        init_cfg: initial weights over those of the paper.

    Raises:
        ConfigError: an architecture that does not exist, or arguments that do not fit it.
    """

    def __init__(
        self,
        *,
        arch: Union[str, Mapping[str, Sequence[int]]] = "tiny",
        in_channels: int = 3,
        stem_patch_size: int = 4,
        norm_cfg: Mapping[str, Any] = {"type": "LN2d", "eps": 1e-6},
        act_cfg: Mapping[str, Any] = {"type": "GELU"},
        linear_pw_conv: bool = True,
        drop_path_rate: float = 0.0,
        layer_scale_init_value: float = 1e-6,
        out_indices: Union[int, Sequence[int]] = -1,
        frozen_stages: int = 0,
        gap_before_final_norm: bool = False,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        depths, channels = _architecture(arch)
        if gap_before_final_norm:
            raise ConfigError("ConvNeXt: gap_before_final_norm=True gives vectors for classification, not feature maps")
        self.out_indices = _stage_indices(out_indices, len(depths))
        if frozen_stages not in range(len(depths) + 1):
            raise ConfigError(f"ConvNeXt: frozen_stages is 0 to {len(depths)}, not {frozen_stages!r}")
        self.frozen_stages = frozen_stages
        stem = nn.Conv2d(in_channels, channels[0], stem_patch_size, stem_patch_size)
        self.downsample_layers = nn.ModuleList([nn.Sequential(stem, build_norm_layer(norm_cfg, channels[0])[1])])
        for before, after in zip(channels[:-1], channels[1:]):
            norm = build_norm_layer(norm_cfg, before)[1]
            self.downsample_layers.append(nn.Sequential(norm, nn.Conv2d(before, after, 2, 2)))
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.stages = nn.ModuleList()
        for depth, width in zip(depths, channels):
            blocks = [
                ConvNeXtBlock(
                    width,
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                    linear_pw_conv=linear_pw_conv,
                    drop_path_rate=next(rates),
                    layer_scale_init_value=layer_scale_init_value,
                )
                for _ in range(depth)
            ]
            self.stages.append(nn.Sequential(*blocks))
        for index in self.out_indices:
            self.add_module(f"norm{index}", build_norm_layer(norm_cfg, channels[index])[1])
        self._freeze()

    def init_weights(self) -> None:
        """As published: truncated normal weights, no biases."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                trunc_normal_init(module, std=0.02)
            elif isinstance(module, nn.LayerNorm):
                constant_init(module, 1)
        super().init_weights()

    def _freeze(self) -> None:
        for part in (*self.downsample_layers[: self.frozen_stages], *self.stages[: self.frozen_stages]):
            part.eval()
            for parameter in part.parameters():
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "ConvNeXt":
        """As in torch, but frozen stages stay in eval mode."""
        super().train(mode)
        self._freeze()
        return self

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the maps of `out_indices`, as published at 1/4 to 1/32 of its size."""
        outputs = []
        x = image
        for index, (downsample, stage) in enumerate(zip(self.downsample_layers, self.stages)):
            x = stage(downsample(x))
            if index in self.out_indices:
                outputs.append(getattr(self, f"norm{index}")(x).contiguous())
        return tuple(outputs)


def _architecture(arch: Union[str, Mapping[str, Sequence[int]]]) -> Tuple[List[int], List[int]]:
    """Depths and channels of the stages."""
    if isinstance(arch, str):
        if arch not in _ARCHITECTURES:
            raise ConfigError(f"ConvNeXt: arch is one of {', '.join(_ARCHITECTURES)}, not {arch!r}")
        arch = _ARCHITECTURES[arch]
    sound = isinstance(arch, Mapping) and set(arch) == {"depths", "channels"}
    if not sound or len(arch["depths"]) != len(arch["channels"]) or not arch["depths"]:
        raise ConfigError(f"ConvNeXt: arch is a name or a dict with depths and channels of one length, not {arch!r}")
    return list(arch["depths"]), list(arch["channels"])


def _stage_indices(out_indices: Union[int, Sequence[int]], stages: int) -> Tuple[int, ...]:
    """`out_indices` counted from 0."""
    given = [out_indices] if isinstance(out_indices, int) else list(out_indices)
    if not given or any(index not in range(-stages, stages) for index in given):
        raise ConfigError(f"ConvNeXt: out_indices are of {-stages} to {stages - 1}, not {out_indices!r}")
    return tuple(index % stages for index in given)
