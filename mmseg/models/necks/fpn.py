"""The feature pyramid network (Lin et al., arXiv 1612.03144)."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.builder import NECKS
from mmseg.models.layers import BaseModule, ConvModule, resize
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]


@NECKS.register_module()
class FPN(BaseModule):
    """All feature maps with the same channels, each with what the coarser ones know added to it.

    Args:
        in_channels: channels of each input, finest first.
        out_channels: channels of each output.
        num_outs: number of outputs; those beyond the inputs are coarser ones, each half the size of the one before.
        start_level, end_level: the inputs used are those from `start_level` up to, not including, `end_level`; -1 is
            all from `start_level` on.
        add_extra_convs: make the further outputs by convolutions, the first from 'on_input' (the coarsest input),
            'on_lateral' (the same after its 1 by 1 convolution) or 'on_output' (the coarsest output); True is
            'on_output'. False takes every second pixel of the coarsest output.
        extra_convs_on_inputs: makes `add_extra_convs=True` mean 'on_input'.
        relu_before_extra_convs: a ReLU before each further convolution but the first.
        no_norm_on_lateral: no norm layer after the 1 by 1 convolutions.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
        upsample_cfg: `mode`, `scale_factor` and `align_corners` of the resizing; the size is that of the finer map
            unless `scale_factor` is given.
        init_cfg: initial weights.

    Raises:
        ConfigError: the numbers of inputs and outputs do not fit, or an option does not exist.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: Union[bool, str] = False,
        extra_convs_on_inputs: bool = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = None,
        act_cfg: Cfg = None,
        upsample_cfg: Mapping[str, Any] = {"mode": "nearest"},
        init_cfg: InitCfg = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"},  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(in_channels, (list, tuple)) or not in_channels:
            raise ConfigError(f"FPN: in_channels is a list with the channels of each input, not {in_channels!r}")
        stop = len(in_channels) if end_level == -1 else end_level
        if not 0 <= start_level < stop <= len(in_channels):
            raise ConfigError(
                f"FPN: start_level {start_level} and end_level {end_level} choose none of {len(in_channels)} inputs"
            )
        used = list(in_channels[start_level:stop])
        if num_outs < len(used) or (end_level != -1 and num_outs != len(used)):
            raise ConfigError(
                f"FPN: num_outs is {'at least ' if end_level == -1 else ''}{len(used)}, the number of inputs used, "
                f"not {num_outs}"
            )
        if add_extra_convs is True:
            add_extra_convs = "on_input" if extra_convs_on_inputs else "on_output"
        if add_extra_convs not in (False, "on_input", "on_lateral", "on_output"):
            raise ConfigError(
                f"FPN: add_extra_convs is True, False, 'on_input', 'on_lateral' or 'on_output', not {add_extra_convs!r}"
            )
        unknown = set(upsample_cfg) - {"mode", "scale_factor", "align_corners"}
        if unknown:
            raise ConfigError(f"FPN: upsample_cfg has no argument {', '.join(map(repr, sorted(unknown)))}")
        self.in_channels = list(in_channels)
        self.out_channels = out_channels
        self.num_outs = num_outs
        self.start_level = start_level
        self.add_extra_convs = add_extra_convs
        self.relu_before_extra_convs = relu_before_extra_convs
        self.upsample_cfg: Dict[str, Any] = dict(upsample_cfg)
        layer_types = {"conv_cfg": conv_cfg, "act_cfg": act_cfg, "inplace": False}
        lateral_norm = None if no_norm_on_lateral else norm_cfg
        self.lateral_convs = nn.ModuleList(
            ConvModule(channels, out_channels, 1, norm_cfg=lateral_norm, **layer_types) for channels in used
        )
        self.fpn_convs = nn.ModuleList(
            ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm_cfg, **layer_types) for _ in used
        )
        if add_extra_convs:
            for level in range(num_outs - len(used)):
                before = used[-1] if level == 0 and add_extra_convs == "on_input" else out_channels
                self.fpn_convs.append(
                    ConvModule(before, out_channels, 3, stride=2, padding=1, norm_cfg=norm_cfg, **layer_types)
                )

    def forward(self, features: Sequence[torch.Tensor]) -> Tuple[torch.Tensor, ...]:
        """(B, in_channels[i], H_i, W_i), finest first, to `num_outs` maps (B, out_channels, h, w).

        Raises ConfigError where there are not as many inputs as `in_channels` has entries.
        """
        if len(features) != len(self.in_channels):
            raise ConfigError(
                f"FPN: in_channels has {len(self.in_channels)} entries, but there are {len(features)} inputs"
            )
        used = features[self.start_level : self.start_level + len(self.lateral_convs)]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used)]
        for level in range(len(laterals) - 1, 0, -1):
            size = None if "scale_factor" in self.upsample_cfg else laterals[level - 1].shape[2:]
            laterals[level - 1] = laterals[level - 1] + resize(laterals[level], size=size, **self.upsample_cfg)
        outputs = [conv(x) for conv, x in zip(self.fpn_convs, laterals)]
        return tuple(outputs + self._further(used[-1], laterals[-1], outputs[-1]))

    def _further(self, input: torch.Tensor, lateral: torch.Tensor, output: torch.Tensor) -> List[torch.Tensor]:
        """The outputs coarser than the inputs, from the coarsest input, its lateral map or the coarsest output."""
        further: List[torch.Tensor] = []
        if not self.add_extra_convs:
            for _ in range(self.num_outs - len(self.lateral_convs)):
                output = F.max_pool2d(output, 1, stride=2)
                further.append(output)
            return further
        x = {"on_input": input, "on_lateral": lateral, "on_output": output}[self.add_extra_convs]
        for conv in list(self.fpn_convs)[len(self.lateral_convs) :]:
            x = conv(F.relu(x) if further and self.relu_before_extra_convs else x)
            further.append(x)
        return further
