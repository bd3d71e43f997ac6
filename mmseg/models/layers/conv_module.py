"""Convolution, normalisation and activation as one block."""

from typing import Any, Mapping, Optional, Sequence, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.layers.activation import build_activation_layer
from mmseg.models.layers.initialization import constant_init, kaiming_init
from mmseg.models.layers.norm import build_norm_layer
from mmseg.registry import Registry

CONV_LAYERS = Registry("convolution")
CONV_LAYERS.register_module("Conv")(nn.Conv2d)
CONV_LAYERS.register_module("Conv1d")(nn.Conv1d)
CONV_LAYERS.register_module("Conv2d")(nn.Conv2d)

Size = Union[int, Sequence[int]]


def build_conv_layer(
    cfg: Optional[Mapping[str, Any]], in_channels: int, out_channels: int, **arguments: Any
) -> nn.Module:
    """A convolution of the type in `cfg`; None is Conv2d. Raises ConfigError for a type that does not exist."""
    return CONV_LAYERS.build(cfg or {"type": "Conv2d"}, in_channels=in_channels, out_channels=out_channels, **arguments)


class ConvModule(nn.Module):
    """`conv`, then `bn` (named after its type), then `activate`; each but the first may be left out.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, padding_mode: of the convolution.
        bias: 'auto' is a bias only where no norm layer follows.
        conv_cfg, norm_cfg, act_cfg: types of the three; None is Conv2d, no norm layer, no activation.
        inplace: let the activation overwrite its input where it can.
        order: which of 'conv', 'norm' and 'act' comes first, second and third.

    The convolution starts with He's normal initialisation over the fan-out (a leaky slope counts), the norm layer
    with 1 and 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        *,
        bias: Union[bool, str] = "auto",
        conv_cfg: Optional[Mapping[str, Any]] = None,
        norm_cfg: Optional[Mapping[str, Any]] = None,
        act_cfg: Optional[Mapping[str, Any]] = {"type": "ReLU"},
        inplace: bool = True,
        padding_mode: str = "zeros",
        order: Sequence[str] = ("conv", "norm", "act"),
    ) -> None:
        super().__init__()
        if sorted(order) != ["act", "conv", "norm"]:
            raise ConfigError(f"the order of a ConvModule is of 'conv', 'norm' and 'act', each once, not {order!r}")
        self.order = tuple(order)
        self.with_norm = norm_cfg is not None
        self.with_activation = act_cfg is not None
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=not self.with_norm if bias == "auto" else bool(bias),
            padding_mode=padding_mode,
        )
        self.norm_name: Optional[str] = None
        if norm_cfg is not None:
            norm_after_conv = self.order.index("norm") > self.order.index("conv")
            self.norm_name, norm = build_norm_layer(norm_cfg, out_channels if norm_after_conv else in_channels)
            self.add_module(self.norm_name, norm)
        if act_cfg is not None:
            self.activate = build_activation_layer(act_cfg, inplace=inplace)
        self._init_weights(act_cfg)

    @property
    def norm(self) -> Optional[nn.Module]:
        """The norm layer, or None."""
        return None if self.norm_name is None else getattr(self, self.norm_name)

    def _init_weights(self, act_cfg: Optional[Mapping[str, Any]]) -> None:
        leaky = act_cfg is not None and act_cfg["type"] == "LeakyReLU"
        kaiming_init(
            self.conv,
            a=act_cfg.get("negative_slope", 0.01) if leaky else 0,
            nonlinearity="leaky_relu" if leaky else "relu",
        )
        if self.norm is not None:
            constant_init(self.norm, 1, bias=0)

    def forward(self, x: torch.Tensor, activate: bool = True, norm: bool = True) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H', W'); `activate` and `norm` False leave those steps out."""
        for step in self.order:
            if step == "conv":
                x = self.conv(x)
            elif step == "norm" and norm and self.with_norm:
                x = self.norm(x)
            elif step == "act" and activate and self.with_activation:
                x = self.activate(x)
        return x
