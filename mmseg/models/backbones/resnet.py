"""ResNet (He et al., arXiv 1512.03385), dilated as in DeepLab; the stems of its variants C and D (arXiv 1812.01187)."""

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, Type, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import BaseModule, BasicBlock, Bottleneck, ResLayer, build_conv_layer, build_norm_layer
from mmseg.models.layers.base_module import InitCfg
from mmseg.models.layers.freezing import fix_batch_norm, freeze

Cfg = Optional[Mapping[str, Any]]
Block = Union[Type[BasicBlock], Type[Bottleneck]]


@BACKBONES.register_module()
class ResNet(BaseModule):
    """ResNet without its classifier: image (B, in_channels, H, W) to the outputs of the stages chosen.

    Args:
        depth: 18, 34, 50, 101 or 152.
        in_channels: channels of the image.
        stem_channels: channels before the first stage.
        base_channels: width of the first stage; each stage has twice the one before.
        num_stages: 1 to 4.
        strides, dilations: one for each stage.
        out_indices: which stages' outputs are returned, 0 the first.
        style: 'pytorch' strides the 3 by 3 convolution of a Bottleneck, 'caffe' the one before it.
        deep_stem: three 3 by 3 convolutions instead of one of size 7 (variant C).
        avg_down: average instead of striding on the way past a block (variant D).
        frozen_stages: the stem (0) and the first stages (1 …) that are not trained; -1 trains all.
        conv_cfg, norm_cfg: types of the layers.
        norm_eval: keep batch norm's running statistics fixed in training.
        dcn, stage_with_dcn: deformable convolutions: refused.
        plugins: further blocks inside the residual blocks: refused.
        multi_grid, contract_dilation: see ResLayer; the former is of the last stage.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        zero_init_residual: begin with blocks that change nothing: the last norm layer of each with scale 0.
        pretrained: address of pre-trained weights: the same as `init_cfg=dict(type='Pretrained', checkpoint=…)`.
        init_cfg: initial weights; None is as published.

    Raises:
        ConfigError: the arguments do not fit one another, or ask for deformable convolutions or plugins.
    """

    arch_settings: Dict[int, Tuple[Block, Sequence[int]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    def __init__(
        self,
        *,
        depth: int,
        in_channels: int = 3,
        stem_channels: int = 64,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = "pytorch",
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: Cfg = None,
        norm_cfg: Mapping[str, Any] = {"type": "BN", "requires_grad": True},
        norm_eval: bool = False,
        dcn: Cfg = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Optional[Sequence[Mapping[str, Any]]] = None,
        multi_grid: Optional[Sequence[int]] = None,
        contract_dilation: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        if pretrained is not None:
            if init_cfg is not None:
                raise ConfigError(f"{type(self).__name__}: give pretrained or init_cfg, not both")
            init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
        published = init_cfg is None or _is_pretrained(init_cfg)
        super().__init__(_with_published(init_cfg) if published else init_cfg)
        self._check(depth, num_stages, strides, dilations, out_indices, style, frozen_stages)
        if dcn is not None or any(stage_with_dcn):
            raise ConfigError(
                f"{type(self).__name__}: deformable convolutions (dcn) are not supported; leave dcn and "
                "stage_with_dcn out"
            )
        if plugins:
            raise ConfigError(f"{type(self).__name__}: plugins are not supported; leave them out")
        self.depth = depth
        self.base_channels = base_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.deep_stem = deep_stem
        block, stage_blocks = self.arch_settings[depth]
        self._build_stem(in_channels, stem_channels, conv_cfg, norm_cfg)
        self.res_layers = []
        channels_before = stem_channels
        for index, num_blocks in enumerate(stage_blocks[:num_stages]):
            channels = base_channels * 2**index
            block_init_cfg = None
            if published and zero_init_residual:
                last_norm = "norm2" if block is BasicBlock else "norm3"
                block_init_cfg = {"type": "Constant", "val": 0, "override": {"name": last_norm}}
            stage = ResLayer(
                block,
                channels_before,
                channels,
                num_blocks,
                stride=strides[index],
                dilation=dilations[index],
                avg_down=avg_down,
                multi_grid=multi_grid if index == num_stages - 1 else None,
                contract_dilation=contract_dilation,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                style=style,
                with_cp=with_cp,
                init_cfg=block_init_cfg,
                **self._block_arguments(channels),
            )
            self.add_module(f"layer{index + 1}", stage)
            self.res_layers.append(f"layer{index + 1}")
            channels_before = channels * block.expansion
        self._freeze_stages()

    def _check(
        self,
        depth: int,
        num_stages: int,
        strides: Sequence[int],
        dilations: Sequence[int],
        out_indices: Sequence[int],
        style: str,
        frozen_stages: int,
    ) -> None:
        name = type(self).__name__
        if depth not in self.arch_settings:
            raise ConfigError(f"{name}: depth is one of {', '.join(map(str, self.arch_settings))}, not {depth!r}")
        if num_stages not in (1, 2, 3, 4):
            raise ConfigError(f"{name}: num_stages is 1 to 4, not {num_stages!r}")
        for argument, value in (("strides", strides), ("dilations", dilations)):
            if len(value) != num_stages or any(not isinstance(entry, int) or entry < 1 for entry in value):
                raise ConfigError(f"{name}: {argument} are {num_stages} whole numbers above 0, not {value!r}")
        if not out_indices or any(index not in range(num_stages) for index in out_indices):
            raise ConfigError(f"{name}: out_indices are of 0 to {num_stages - 1}, not {out_indices!r}")
        if style not in ("pytorch", "caffe"):
            raise ConfigError(f"{name}: style is 'pytorch' or 'caffe', not {style!r}")
        if frozen_stages not in range(-1, num_stages + 1):
            raise ConfigError(f"{name}: frozen_stages is -1 to {num_stages}, not {frozen_stages!r}")

    def _block_arguments(self, channels: int) -> Dict[str, Any]:
        """Further arguments of the blocks of the stage whose `channels` are given."""
        return {}

    def _build_stem(self, in_channels: int, stem_channels: int, conv_cfg: Cfg, norm_cfg: Mapping[str, Any]) -> None:
        if self.deep_stem:
            half = stem_channels // 2
            layers = []
            for before, after, stride in ((in_channels, half, 2), (half, half, 1), (half, stem_channels, 1)):
                layers += [
                    build_conv_layer(conv_cfg, before, after, kernel_size=3, stride=stride, padding=1, bias=False),
                    build_norm_layer(norm_cfg, after)[1],
                    nn.ReLU(inplace=True),
                ]
            self.stem = nn.Sequential(*layers)
        else:
            self.conv1 = build_conv_layer(
                conv_cfg, in_channels, stem_channels, kernel_size=7, stride=2, padding=3, bias=False
            )
            self.norm1_name, norm = build_norm_layer(norm_cfg, stem_channels, postfix=1)
            self.add_module(self.norm1_name, norm)
            self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)

    @property
    def norm1(self) -> nn.Module:
        """The norm layer of the plain stem."""
        return getattr(self, self.norm1_name)

    def _freeze_stages(self) -> None:
        frozen = []
        if self.frozen_stages >= 0:
            frozen += [self.stem] if self.deep_stem else [self.conv1, self.norm1]
        frozen += [getattr(self, name) for name in self.res_layers[: max(self.frozen_stages, 0)]]
        freeze(frozen)

    def train(self, mode: bool = True) -> "ResNet":
        """Training mode, but for the frozen stages, and with `norm_eval` for every batch norm."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            fix_batch_norm(self)
        return self

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """(B, in_channels, H, W) to one (B, C_i, H_i, W_i) for each of `out_indices`, in the order of the stages."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        x = self.maxpool(x)
        outputs = []
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)


@BACKBONES.register_module()
class ResNetV1c(ResNet):
    """ResNet-C: three 3 by 3 convolutions as the stem. The arguments are ResNet's but for `deep_stem`, `avg_down`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, **_variant(self, kwargs, deep_stem=True, avg_down=False)})


@BACKBONES.register_module()
class ResNetV1d(ResNet):
    """ResNet-D: the stem of ResNet-C, and averages on the way past a block. Arguments as of ResNetV1c."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, **_variant(self, kwargs, deep_stem=True, avg_down=True)})


def _variant(backbone: ResNet, given: Mapping[str, Any], **fixed: bool) -> Dict[str, bool]:
    """What makes a variant; raises ConfigError where `given` says otherwise."""
    for name, value in fixed.items():
        if given.get(name, value) != value:
            raise ConfigError(f"{type(backbone).__name__} has {name}={value}; for another, take type='ResNet'")
    return fixed


def _is_pretrained(init_cfg: InitCfg) -> bool:
    return isinstance(init_cfg, Mapping) and init_cfg.get("type") == "Pretrained"


def _with_published(init_cfg: InitCfg) -> InitCfg:
    """The published initial weights, before the file to load where there is one."""
    published = [
        {"type": "Kaiming", "layer": "Conv2d"},
        {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
    ]
    return published if init_cfg is None else [*published, init_cfg]
