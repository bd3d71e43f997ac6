"""The residual blocks of ResNet (He et al., arXiv 1512.03385), and a stage of them; ResNeXt and HRNet use them too."""

from typing import Any, List, Mapping, Optional, Sequence, Type

import torch
import torch.nn as nn

from mmseg import torch_compat
from mmseg.errors import ConfigError
from mmseg.models.layers.base_module import BaseModule, InitCfg
from mmseg.models.layers.conv_module import build_conv_layer
from mmseg.models.layers.norm import build_norm_layer

Cfg = Optional[Mapping[str, Any]]
_BN = {"type": "BN"}


class ResidualBlock(BaseModule):
    """Base of the two blocks: relu(x + residual(x)).

    A norm layer has the name that checkpoints have for its type (`bn1`, `gn1` …) and is also reached as `norm1`,
    `norm2` or `norm3`.

    A block defines `_residual`, and its `relu` and `downsample` (None takes x as it is).
    """

    expansion: int
    downsample: Optional[nn.Module]

    def __init__(self, init_cfg: InitCfg, *, with_cp: bool) -> None:
        super().__init__(init_cfg)
        self.with_cp = with_cp
        self._norm_names: List[str] = []

    def _add_norm(self, norm_cfg: Mapping[str, Any], channels: int) -> None:
        name, norm = build_norm_layer(norm_cfg, channels, postfix=len(self._norm_names) + 1)
        self._norm_names.append(name)
        self.add_module(name, norm)

    @property
    def norm1(self) -> nn.Module:
        return getattr(self, self._norm_names[0])

    @property
    def norm2(self) -> nn.Module:
        return getattr(self, self._norm_names[1])

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _residual")

    def _sum(self, x: torch.Tensor) -> torch.Tensor:
        return self._residual(x) + (x if self.downsample is None else self.downsample(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, channels * expansion, H / stride, W / stride)."""
        if self.with_cp and x.requires_grad:
            return self.relu(torch_compat.checkpoint_activations(self._sum, x))
        return self.relu(self._sum(x))


class BasicBlock(ResidualBlock):
    """Two 3 by 3 convolutions: the block of ResNet-18 and 34.

    Args:
        in_channels, channels: channels before and after.
        stride, dilation: of the first convolution; the second has neither.
        downsample: brings x to the shape of the residual; None takes x as it is.
        style: counts for Bottleneck only.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        conv_cfg, norm_cfg: types of the layers.
        init_cfg: initial weights.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: Optional[nn.Module] = None,
        *,
        style: str = "pytorch",
        with_cp: bool = False,
        conv_cfg: Cfg = None,
        norm_cfg: Mapping[str, Any] = _BN,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg, with_cp=with_cp)
        self.conv1 = build_conv_layer(
            conv_cfg,
            in_channels,
            channels,
            kernel_size=3,
            stride=stride,
            padding=dilation,
            dilation=dilation,
            bias=False,
        )
        self._add_norm(norm_cfg, channels)
        self.conv2 = build_conv_layer(conv_cfg, channels, channels, kernel_size=3, padding=1, bias=False)
        self._add_norm(norm_cfg, channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(x))


class Bottleneck(ResidualBlock):
    """A 3 by 3 convolution between two of size 1 that narrow and widen again: the block of ResNet-50 and deeper.

    Args:
        in_channels: channels before; `channels` * 4 come out.
        stride: of the 3 by 3 convolution in the style 'pytorch', of the one before it in the style 'caffe'.
        dilation: of the 3 by 3 convolution.
        downsample: brings x to the shape of the residual; None takes x as it is.
        style: 'pytorch' or 'caffe'.
        groups, width: of the 3 by 3 convolution; a width of None is `channels`. ResNeXt has others.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        conv_cfg, norm_cfg: types of the layers.
        init_cfg: initial weights.

    Raises:
        ConfigError: another style.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: Optional[nn.Module] = None,
        *,
        style: str = "pytorch",
        groups: int = 1,
        width: Optional[int] = None,
        with_cp: bool = False,
        conv_cfg: Cfg = None,
        norm_cfg: Mapping[str, Any] = _BN,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg, with_cp=with_cp)
        if style not in ("pytorch", "caffe"):
            raise ConfigError(f"the style of a residual block is 'pytorch' or 'caffe', not {style!r}")
        width = channels if width is None else width
        first_stride, second_stride = (1, stride) if style == "pytorch" else (stride, 1)
        self.conv1 = build_conv_layer(conv_cfg, in_channels, width, kernel_size=1, stride=first_stride, bias=False)
        self._add_norm(norm_cfg, width)
        self.conv2 = build_conv_layer(
            conv_cfg,
            width,
            width,
            kernel_size=3,
            stride=second_stride,
            padding=dilation,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self._add_norm(norm_cfg, width)
        self.conv3 = build_conv_layer(conv_cfg, width, channels * self.expansion, kernel_size=1, bias=False)
        self._add_norm(norm_cfg, channels * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def norm3(self) -> nn.Module:
        return getattr(self, self._norm_names[2])

    def _residual(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        return self.norm3(self.conv3(x))


class ResLayer(nn.Sequential):
    """A stage: `num_blocks` blocks, of which the first changes size and channels.

    Args:
        block: BasicBlock or Bottleneck.
        in_channels: channels before; `channels * block.expansion` come out.
        stride: of the first block.
        dilation: of the blocks.
        avg_down: bring the input of the first block to its output's size by averaging instead of by the stride of a
            convolution of size 1 (ResNet-D, He et al., arXiv 1812.01187).
        multi_grid: the dilation of each block instead of `dilation` (DeepLabV3, Chen et al., arXiv 1706.05587).
        contract_dilation: halve the first block's dilation where it is above 1, so that the dilation grows by 2 from
            block to block.
        conv_cfg, norm_cfg: types of the layers.
        **kwargs: further arguments of the blocks.

    Raises:
        ConfigError: `multi_grid` has fewer entries than there are blocks.
    """

    def __init__(
        self,
        block: Type[ResidualBlock],
        in_channels: int,
        channels: int,
        num_blocks: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        avg_down: bool = False,
        multi_grid: Optional[Sequence[int]] = None,
        contract_dilation: bool = False,
        conv_cfg: Cfg = None,
        norm_cfg: Mapping[str, Any] = _BN,
        **kwargs: Any,
    ) -> None:
        out_channels = channels * block.expansion
        downsample = None
        if stride != 1 or in_channels != out_channels:
            downsample = _downsample(in_channels, out_channels, stride, avg_down, conv_cfg, norm_cfg)
        if multi_grid is not None:
            dilations = list(multi_grid)
            if len(dilations) < num_blocks:
                raise ConfigError(f"multi_grid has {len(dilations)} entries for a stage of {num_blocks} blocks")
        else:
            dilations = [dilation] * num_blocks
            if contract_dilation and dilation > 1:
                dilations[0] = dilation // 2
        blocks = []
        for index in range(num_blocks):
            first = index == 0
            blocks.append(
                block(
                    in_channels if first else out_channels,
                    channels,
                    stride if first else 1,
                    dilations[index],
                    downsample if first else None,
                    conv_cfg=conv_cfg,
                    norm_cfg=norm_cfg,
                    **kwargs,
                )
            )
        super().__init__(*blocks)


def _downsample(
    in_channels: int, out_channels: int, stride: int, avg_down: bool, conv_cfg: Cfg, norm_cfg: Mapping[str, Any]
) -> nn.Module:
    layers: List[nn.Module] = []
    if avg_down:
        layers.append(nn.AvgPool2d(kernel_size=stride, stride=stride, ceil_mode=True, count_include_pad=False))
        stride = 1
    layers.append(build_conv_layer(conv_cfg, in_channels, out_channels, kernel_size=1, stride=stride, bias=False))
    layers.append(build_norm_layer(norm_cfg, out_channels)[1])
    return nn.Sequential(*layers)
