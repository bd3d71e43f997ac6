"""MobileNetV2 (Sandler et al., arXiv 1801.04381)."""

from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.backbones.initial_weights import choose_init_cfg
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import BaseModule, ConvModule, InvertedResidual, fix_batch_norm, freeze, make_divisible
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]

# Table 2 of the paper: expansion, channels and number of blocks of each stage.
STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))


@BACKBONES.register_module()
class MobileNetV2(BaseModule):
    """The stem (`conv1`) and the seven stages (`layer1` …) of MobileNetV2.

    Args:
        widen_factor: factor of all widths, which are then made divisible by 8.
        strides, dilations: of the first block of each stage; the other blocks have 1.
        out_indices: which stages' outputs, 0 to 6.
        frozen_stages: 0 keeps the stem from training, 1 … the first stages too; -1 trains all.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
        norm_eval: keep batch norm's running statistics fixed in training.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        pretrained: address of pre-trained weights: the same as `init_cfg=dict(type='Pretrained', checkpoint=…)`.
        init_cfg: initial weights.

    Raises:
        ConfigError: `strides` or `dilations` do not have seven entries, or a stage does not exist.
    """

    def __init__(
        self,
        *,
        widen_factor: float = 1.0,
        strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
        dilations: Sequence[int] = (1, 1, 1, 1, 1, 1, 1),
        out_indices: Sequence[int] = (1, 2, 4, 6),
        frozen_stages: int = -1,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU6"},  # noqa: B006 - never changed
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(choose_init_cfg("MobileNetV2", init_cfg=init_cfg, pretrained=pretrained))
        for name, value in (("strides", strides), ("dilations", dilations)):
            if len(value) != len(STAGES):
                raise ConfigError(f"MobileNetV2: {name} needs {len(STAGES)} entries, not {value!r}")
        if not out_indices or any(index not in range(len(STAGES)) for index in out_indices):
            raise ConfigError(f"MobileNetV2: out_indices are of 0 to {len(STAGES) - 1}, not {out_indices!r}")
        if frozen_stages not in range(-1, len(STAGES) + 1):
            raise ConfigError(f"MobileNetV2: frozen_stages is -1 to {len(STAGES)}, not {frozen_stages!r}")
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        channels = make_divisible(32 * widen_factor, 8)
        self.conv1 = ConvModule(3, channels, 3, stride=2, padding=1, **common)
        self.layers = []
        for index, (expand_ratio, stage_channels, num_blocks) in enumerate(STAGES):
            blocks = []
            for block in range(num_blocks):
                channels_before, channels = channels, make_divisible(stage_channels * widen_factor, 8)
                first = block == 0
                blocks.append(
                    InvertedResidual(
                        channels_before,
                        channels,
                        strides[index] if first else 1,
                        expand_ratio,
                        dilation=dilations[index] if first else 1,
                        with_cp=with_cp,
                        **common,
                    )
                )
            self.layers.append(f"layer{index + 1}")
            self.add_module(self.layers[-1], nn.Sequential(*blocks))
        self._freeze()

    def _freeze(self) -> None:
        if self.frozen_stages >= 0:
            freeze([self.conv1, *(getattr(self, name) for name in self.layers[: self.frozen_stages])])

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, 3, H, W) to the outputs of the stages `out_indices`."""
        x = self.conv1(image)
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

    def train(self, mode: bool = True) -> "MobileNetV2":
        """Training mode, but for the frozen stages, and with `norm_eval` for every batch norm."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            fix_batch_norm(self)
        return self
