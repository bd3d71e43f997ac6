"""HRNet (Wang et al., Deep High-Resolution Representation Learning, arXiv 1908.07919): parallel branches from fine to
coarse that exchange their features again and again."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.backbones.initial_weights import choose_init_cfg
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import (
    BaseModule,
    BasicBlock,
    Bottleneck,
    ResLayer,
    build_conv_layer,
    build_norm_layer,
    resize,
)
from mmseg.models.layers.base_module import InitCfg
from mmseg.models.layers.freezing import fix_batch_norm, freeze

Cfg = Optional[Mapping[str, Any]]
Block = Union[Type[BasicBlock], Type[Bottleneck]]

BLOCKS: Dict[str, Block] = {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}
# The norm layer after which a block's residual is added to its input.
_LAST_NORM = {BasicBlock: "norm2", Bottleneck: "norm3"}
_STEM_CHANNELS = 64
_NUM_STAGES = 4


class HRModule(BaseModule):
    """Residual blocks on each branch, then every branch gets the sum of all, each brought to its size and channels.

    Args:
        block: BasicBlock or Bottleneck.
        num_blocks: blocks on each branch.
        in_channels: channels of each branch's input.
        num_channels: width of each branch; `num_channels * block.expansion` come out.
        multiscale_output: whether all branches go on, or the finest only.
        conv_cfg, norm_cfg: types of the layers.
        **kwargs: further arguments of the blocks.
    """

    def __init__(
        self,
        block: Block,
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
        *,
        multiscale_output: bool = True,
        conv_cfg: Cfg = None,
        norm_cfg: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__()
        layer_types = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.branches = nn.ModuleList(
            ResLayer(block, before, channels, blocks, **layer_types, **kwargs)
            for before, channels, blocks in zip(in_channels, num_channels, num_blocks)
        )
        widths = [channels * block.expansion for channels in num_channels]
        self.fuse_layers: Optional[nn.ModuleList] = None
        if len(widths) > 1:
            self.fuse_layers = nn.ModuleList(
                nn.ModuleList(_exchange(widths, source, target, **layer_types) for source in range(len(widths)))
                for target in range(len(widths) if multiscale_output else 1)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Sequence[torch.Tensor]) -> List[torch.Tensor]:
        """One (B, C_i, H_i, W_i) for each branch, finest first; to the same, or to the finest only."""
        features = [branch(x) for branch, x in zip(self.branches, features)]
        if self.fuse_layers is None:
            return features
        fused = []
        for target, exchanges in enumerate(self.fuse_layers):
            size = features[target].shape[2:]
            # After an exchange the size differs by a pixel where a side could not be halved exactly.
            first, *others = [
                x if exchange is None else resize(exchange(x), size=size, align_corners=False)
                for exchange, x in zip(exchanges, features)
            ]
            fused.append(self.relu(sum(others, first)))
        return fused


@BACKBONES.register_module()
class HRNet(BaseModule):
    """HRNet: image (B, in_channels, H, W) to one feature map for each branch, at 1/4, 1/8, 1/16 and 1/32 of its size.

    Args:
        extra: `stage1` … `stage4`, each with `num_modules`, `num_branches`, `block` ('BASIC' or 'BOTTLENECK'), and
            for each branch an entry in `num_blocks` and `num_channels`.
        in_channels: channels of the image.
        conv_cfg, norm_cfg: types of the layers.
        norm_eval: keep batch norm's running statistics fixed in training.
        with_cp: compute the activations of the blocks again in the backward pass instead of keeping them.
        frozen_stages: the stem (0) and the first stages (1 …) that are not trained; -1 trains all.
        zero_init_residual: begin with blocks that change nothing: the last norm layer of each with scale 0.
        multiscale_output: False returns the finest branch only.
        pretrained: address of pre-trained weights: the same as `init_cfg=dict(type='Pretrained', checkpoint=…)`.
        init_cfg: initial weights; None is as published.

    Raises:
        ConfigError: `extra` does not describe four stages, or the arguments do not fit one another.
    """

    def __init__(
        self,
        *,
        extra: Mapping[str, Mapping[str, Any]],
        in_channels: int = 3,
        conv_cfg: Cfg = None,
        norm_cfg: Mapping[str, Any] = {"type": "BN", "requires_grad": True},
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_stages: int = -1,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(choose_init_cfg("HRNet", init_cfg=init_cfg, pretrained=pretrained))
        if frozen_stages not in range(-1, _NUM_STAGES + 1):
            raise ConfigError(f"HRNet: frozen_stages is -1 to {_NUM_STAGES}, not {frozen_stages!r}")
        stages = _checked_stages(extra)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self._layer_types = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self._with_cp = with_cp
        self._zero_residual = zero_init_residual

        self.conv1 = self._stem_conv(in_channels)
        self.norm1_name, norm1 = build_norm_layer(norm_cfg, _STEM_CHANNELS, postfix=1)
        self.add_module(self.norm1_name, norm1)
        self.conv2 = self._stem_conv(_STEM_CHANNELS)
        self.norm2_name, norm2 = build_norm_layer(norm_cfg, _STEM_CHANNELS, postfix=2)
        self.add_module(self.norm2_name, norm2)
        self.relu = nn.ReLU(inplace=True)

        first, *later = stages
        block = BLOCKS[first["block"]]
        width = first["num_channels"][0]
        self.layer1 = ResLayer(
            block, _STEM_CHANNELS, width, first["num_blocks"][0], **self._layer_types, **self._block_arguments(block)
        )
        widths = [width * block.expansion]
        for index, stage in enumerate(later, start=2):
            expansion = BLOCKS[stage["block"]].expansion
            wanted = [channels * expansion for channels in stage["num_channels"]]
            self.add_module(f"transition{index - 1}", _transition(widths, wanted, **self._layer_types))
            last = index == _NUM_STAGES
            self.add_module(f"stage{index}", self._stage(stage, wanted, multiscale_output or not last))
            widths = wanted
        self._freeze_stages()

    def _stem_conv(self, in_channels: int) -> nn.Module:
        return build_conv_layer(
            self._layer_types["conv_cfg"],
            in_channels,
            _STEM_CHANNELS,
            kernel_size=3,
            stride=2,
            padding=1,
            bias=False,
        )

    def _block_arguments(self, block: Block) -> Dict[str, Any]:
        zero = {"type": "Constant", "val": 0, "override": {"name": _LAST_NORM[block]}}
        return {"with_cp": self._with_cp, "init_cfg": zero if self._zero_residual else None}

    def _stage(self, stage: Mapping[str, Any], in_channels: Sequence[int], multiscale_output: bool) -> nn.Module:
        block = BLOCKS[stage["block"]]
        return nn.Sequential(
            *(
                HRModule(
                    block,
                    stage["num_blocks"],
                    in_channels,
                    stage["num_channels"],
                    multiscale_output=multiscale_output or module < stage["num_modules"] - 1,
                    **self._layer_types,
                    **self._block_arguments(block),
                )
                for module in range(stage["num_modules"])
            )
        )

    @property
    def norm1(self) -> nn.Module:
        """The norm layer after the first convolution."""
        return getattr(self, self.norm1_name)

    @property
    def norm2(self) -> nn.Module:
        """The norm layer after the second convolution."""
        return getattr(self, self.norm2_name)

    def _freeze_stages(self) -> None:
        frozen: List[nn.Module] = []
        if self.frozen_stages >= 0:
            frozen += [self.conv1, self.norm1, self.conv2, self.norm2]
        for stage in range(1, self.frozen_stages + 1):
            frozen.append(self.layer1 if stage == 1 else getattr(self, f"stage{stage}"))
            if stage < _NUM_STAGES:
                frozen.append(getattr(self, f"transition{stage}"))
        freeze(frozen)

    def train(self, mode: bool = True) -> "HRNet":
        """Training mode, but for the frozen stages, and with `norm_eval` for every batch norm."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            fix_batch_norm(self)
        return self

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to (B, C_i, H_i, W_i) of the branches, finest first."""
        x = self.relu(self.norm1(self.conv1(image)))
        x = self.relu(self.norm2(self.conv2(x)))
        features = [self.layer1(x)]
        for index in range(2, _NUM_STAGES + 1):
            inputs = []
            for branch, transition in enumerate(getattr(self, f"transition{index - 1}")):
                source = features[min(branch, len(features) - 1)]
                inputs.append(source if transition is None else transition(source))
            features = getattr(self, f"stage{index}")(inputs)
        return tuple(features)


def _conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int, conv_cfg: Cfg, norm_cfg: Cfg) -> Any:
    """A convolution without bias and a norm layer, as a list."""
    conv = build_conv_layer(
        conv_cfg,
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        bias=False,
    )
    return [conv, build_norm_layer(norm_cfg, out_channels)[1]]


def _exchange(
    widths: Sequence[int], source: int, target: int, *, conv_cfg: Cfg, norm_cfg: Mapping[str, Any]
) -> Optional[nn.Module]:
    """What brings branch `source` to the size and channels of branch `target`; None where they are the same."""
    if source == target:
        return None
    if source > target:
        upsample = nn.Upsample(scale_factor=2 ** (source - target), mode="bilinear", align_corners=False)
        return nn.Sequential(*_conv_norm(widths[source], widths[target], 1, 1, conv_cfg, norm_cfg), upsample)
    steps = []
    for branch in range(source + 1, target + 1):
        last = branch == target
        layers = _conv_norm(widths[source], widths[target if last else source], 3, 2, conv_cfg, norm_cfg)
        steps.append(nn.Sequential(*layers) if last else nn.Sequential(*layers, nn.ReLU(inplace=True)))
    return nn.Sequential(*steps)


def _transition(
    before: Sequence[int], after: Sequence[int], *, conv_cfg: Cfg, norm_cfg: Mapping[str, Any]
) -> nn.ModuleList:
    """From the branches of one stage to those of the next: one more is made from the coarsest by halving its size.

    Args:
        before, after: channels of each branch.
    """
    transitions: List[Optional[nn.Module]] = []
    for branch, width in enumerate(after):
        if branch < len(before):
            unchanged = before[branch] == width
            layers = [] if unchanged else _conv_norm(before[branch], width, 3, 1, conv_cfg, norm_cfg)
            transitions.append(None if unchanged else nn.Sequential(*layers, nn.ReLU(inplace=True)))
            continue
        steps = []
        for step in range(len(before), branch + 1):
            layers = _conv_norm(before[-1], width if step == branch else before[-1], 3, 2, conv_cfg, norm_cfg)
            steps.append(nn.Sequential(*layers, nn.ReLU(inplace=True)))
        transitions.append(nn.Sequential(*steps))
    return nn.ModuleList(transitions)


def _checked_stages(extra: Mapping[str, Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """The four stages of `extra`, after the check that each is complete."""
    stages = []
    for index in range(1, _NUM_STAGES + 1):
        name = f"stage{index}"
        stage = extra.get(name) if isinstance(extra, Mapping) else None
        if not isinstance(stage, Mapping):
            raise ConfigError(f"HRNet: extra needs a dict {name}, not {stage!r}")
        for key in ("num_modules", "num_branches", "block", "num_blocks", "num_channels"):
            if key not in stage:
                raise ConfigError(f"HRNet: extra.{name} needs {key}")
        if stage["block"] not in BLOCKS:
            raise ConfigError(f"HRNet: the block of extra.{name} is one of {', '.join(BLOCKS)}, not {stage['block']!r}")
        for key in ("num_modules", "num_branches"):
            if not isinstance(stage[key], int) or stage[key] < 1:
                raise ConfigError(f"HRNet: {key} of extra.{name} is a whole number above 0, not {stage[key]!r}")
        for key in ("num_blocks", "num_channels"):
            if not isinstance(stage[key], (list, tuple)) or len(stage[key]) != stage["num_branches"]:
                raise ConfigError(
                    f"HRNet: {key} of extra.{name} has one entry for each of the {stage['num_branches']} branches, "
                    f"not {stage[key]!r}"
                )
        before = stages[-1]["num_branches"] if stages else 1
        if stage["num_branches"] < before or (index == 1 and stage["num_branches"] != 1):
            raise ConfigError(
                f"HRNet: stage1 has one branch and no stage fewer than the one before, but extra.{name} has "
                f"{stage['num_branches']}"
            )
        stages.append(stage)
    return stages
