"""MobileNetV3 (Howard et al., arXiv 1905.02244), with dilation in place of the last two strides (section 6.4)."""

from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.backbones.initial_weights import choose_init_cfg
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import (
    BaseModule,
    Conv2dAdaptivePadding,
    ConvModule,
    InvertedResidualV3,
    fix_batch_norm,
    freeze,
)
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]

# Tables 1 and 2 of the paper: kernel size, expanded channels, channels, squeeze and excitation, activation, stride.
BLOCKS = {
    "small": (
        (3, 16, 16, True, "ReLU", 2),
        (3, 72, 24, False, "ReLU", 2),
        (3, 88, 24, False, "ReLU", 1),
        (5, 96, 40, True, "HSwish", 2),
        (5, 240, 40, True, "HSwish", 1),
        (5, 240, 40, True, "HSwish", 1),
        (5, 120, 48, True, "HSwish", 1),
        (5, 144, 48, True, "HSwish", 1),
        (5, 288, 96, True, "HSwish", 2),
        (5, 576, 96, True, "HSwish", 1),
        (5, 576, 96, True, "HSwish", 1),
    ),
    "large": (
        (3, 16, 16, False, "ReLU", 1),
        (3, 64, 24, False, "ReLU", 2),
        (3, 72, 24, False, "ReLU", 1),
        (5, 72, 40, True, "ReLU", 2),
        (5, 120, 40, True, "ReLU", 1),
        (5, 120, 40, True, "ReLU", 1),
        (3, 240, 80, False, "HSwish", 2),
        (3, 200, 80, False, "HSwish", 1),
        (3, 184, 80, False, "HSwish", 1),
        (3, 184, 80, False, "HSwish", 1),
        (3, 480, 112, True, "HSwish", 1),
        (3, 672, 112, True, "HSwish", 1),
        (5, 672, 160, True, "HSwish", 2),
        (5, 960, 160, True, "HSwish", 1),
        (5, 960, 160, True, "HSwish", 1),
    ),
}
# The layers (the stem is 0) from which the output is kept at 1/8 of the image by dilation 2, then by dilation 4.
DILATED_FROM = {"small": (4, 9), "large": (7, 13)}
LAST_CHANNELS = {"small": 576, "large": 960}


@BACKBONES.register_module()
class MobileNetV3(BaseModule):
    """The stem (`layer0`), the blocks (`layer1` …) and the last convolution of MobileNetV3, at 1/8 of the image.

    Args:
        arch: 'small' or 'large'.
        conv_cfg, norm_cfg: types of the layers, as in ConvModule.
        out_indices: which layers' outputs, 0 to 12 (small) or 16 (large).
        frozen_stages: the last of the first layers that are not trained; -1 trains all.
        reduction_factor: the widths of the last blocks are divided by it.
        norm_eval: keep batch norm's running statistics fixed in training.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        pretrained: address of pre-trained weights: the same as `init_cfg=dict(type='Pretrained', checkpoint=…)`.
        init_cfg: initial weights.

    Raises:
        ConfigError: the architecture or a layer does not exist, or `reduction_factor` is not positive.
    """

    def __init__(
        self,
        *,
        arch: str = "small",
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        out_indices: Sequence[int] = (0, 1, 12),
        frozen_stages: int = -1,
        reduction_factor: int = 1,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(choose_init_cfg("MobileNetV3", init_cfg=init_cfg, pretrained=pretrained))
        if arch not in BLOCKS:
            raise ConfigError(f"MobileNetV3: arch is 'small' or 'large', not {arch!r}")
        last = len(BLOCKS[arch]) + 1
        if not out_indices or any(index not in range(last + 1) for index in out_indices):
            raise ConfigError(f"MobileNetV3: out_indices of arch {arch!r} are of 0 to {last}, not {out_indices!r}")
        if frozen_stages not in range(-1, last + 1):
            raise ConfigError(f"MobileNetV3: frozen_stages of arch {arch!r} is -1 to {last}, not {frozen_stages!r}")
        if not isinstance(reduction_factor, int) or reduction_factor < 1:
            raise ConfigError(f"MobileNetV3: reduction_factor is a whole number from 1 on, not {reduction_factor!r}")
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.layers = [f"layer{index}" for index in range(last + 1)]
        channels = 16
        self.layer0 = ConvModule(
            3,
            channels,
            3,
            stride=2,
            padding=1,
            conv_cfg={"type": "Conv2dAdaptivePadding"},
            norm_cfg=norm_cfg,
            act_cfg={"type": "HSwish"},
        )
        dilated_by_2, dilated_by_4 = DILATED_FROM[arch]
        for index, (kernel_size, mid_channels, out_channels, with_se, activation, stride) in enumerate(BLOCKS[arch], 1):
            if index >= dilated_by_4:
                mid_channels //= reduction_factor
                out_channels //= reduction_factor
            block = InvertedResidualV3(
                channels,
                out_channels,
                mid_channels,
                kernel_size=kernel_size,
                stride=stride,
                se_cfg={"channels": mid_channels, "ratio": 4} if with_se else None,
                with_expand_conv=channels != mid_channels,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                act_cfg={"type": activation},
                with_cp=with_cp,
            )
            if index >= dilated_by_2:
                _dilate(block.depthwise_conv.conv, 4 if index >= dilated_by_4 else 2)
            self.add_module(self.layers[index], block)
            channels = out_channels
        last_conv = ConvModule(
            channels, LAST_CHANNELS[arch], 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg={"type": "HSwish"}
        )
        self.add_module(self.layers[-1], last_conv)
        self._freeze()

    def _freeze(self) -> None:
        freeze(getattr(self, name) for name in self.layers[: self.frozen_stages + 1])

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, 3, H, W) to the outputs of the layers `out_indices`, at 1/2 (0), 1/4 … and 1/8 of its size."""
        x = image
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

    def train(self, mode: bool = True) -> "MobileNetV3":
        """Training mode, but for the frozen layers, and with `norm_eval` for every batch norm."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            fix_batch_norm(self)
        return self


def _dilate(conv: nn.Conv2d, dilation: int) -> None:
    """Have a convolution keep the size of its input and look `dilation` pixels apart."""
    conv.stride = (1, 1)
    conv.dilation = (dilation, dilation)
    if not isinstance(conv, Conv2dAdaptivePadding):  # which finds its padding by itself
        conv.padding = tuple(dilation * (side // 2) for side in conv.kernel_size)
