"""Ways to double the size of a feature map, by the names that configs use in `upsample_cfg`."""

from typing import Any, Mapping, Optional, Sequence

import torch
import torch.nn as nn

from mmseg import torch_compat
from mmseg.errors import ConfigError
from mmseg.models.layers.activation import build_activation_layer
from mmseg.models.layers.conv_module import ConvModule
from mmseg.models.layers.norm import build_norm_layer
from mmseg.models.layers.resize import resize
from mmseg.registry import Registry

Cfg = Optional[Mapping[str, Any]]

UPSAMPLE_LAYERS = Registry("upsampling layer")


class Upsample(nn.Module):
    """`resize` as a module.

    Args:
        size: (height, width) of the result, or None with
        scale_factor: how many times larger the result is.
        mode, align_corners: as in `resize`.
    """

    def __init__(
        self,
        *,
        size: Optional[Sequence[int]] = None,
        scale_factor: Optional[float] = None,
        mode: str = "nearest",
        align_corners: Optional[bool] = None,
    ) -> None:
        super().__init__()
        if (size is None) == (scale_factor is None):
            raise ConfigError(f"upsampling needs either size or scale_factor, not {size!r} and {scale_factor!r}")
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H', W')."""
        size = self.size if self.size is not None else [int(side * self.scale_factor) for side in x.shape[2:]]
        return resize(x, size=size, mode=self.mode, align_corners=self.align_corners)


@UPSAMPLE_LAYERS.register_module()
class InterpConv(nn.Module):
    """Interpolate and convolve.

    Args:
        in_channels, out_channels: channels before and after.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        norm_cfg, act_cfg, conv_cfg, kernel_size, stride, padding: of the convolution, as in ConvModule.
        conv_first: convolve before the interpolation.
        upsample_cfg: arguments of Upsample.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        with_cp: bool = False,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        conv_cfg: Cfg = None,
        conv_first: bool = False,
        kernel_size: int = 1,
        stride: int = 1,
        padding: int = 0,
        upsample_cfg: Mapping[str, Any] = {"scale_factor": 2, "mode": "bilinear", "align_corners": False},
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        conv = ConvModule(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        upsample = Upsample(**upsample_cfg)
        self.interp_upsample = nn.Sequential(*((conv, upsample) if conv_first else (upsample, conv)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, 2 H, 2 W)."""
        if self.with_cp and x.requires_grad:
            return torch_compat.checkpoint_activations(self.interp_upsample, x)
        return self.interp_upsample(x)


@UPSAMPLE_LAYERS.register_module()
class DeconvModule(nn.Module):
    """A transposed convolution, then normalisation and activation.

    Args:
        in_channels, out_channels: channels before and after.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        norm_cfg, act_cfg: types of the layers.
        kernel_size: of the transposed convolution: `scale_factor` or an even number more.
        scale_factor: its stride.

    Raises:
        ConfigError: no padding makes the output exactly `scale_factor` times as large.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        with_cp: bool = False,
        norm_cfg: Mapping[str, Any] = {"type": "BN"},
        act_cfg: Mapping[str, Any] = {"type": "ReLU"},
        kernel_size: int = 4,
        scale_factor: int = 2,
    ) -> None:
        super().__init__()
        if kernel_size < scale_factor or (kernel_size - scale_factor) % 2:
            raise ConfigError(
                f"DeconvModule: kernel_size is scale_factor ({scale_factor}) or an even number more, not {kernel_size}"
            )
        self.with_cp = with_cp
        padding = (kernel_size - scale_factor) // 2
        # The misspelt name is the one in published checkpoints.
        self.deconv_upsamping = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride=scale_factor, padding=padding),
            build_norm_layer(norm_cfg, out_channels)[1],
            build_activation_layer(act_cfg),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, scale_factor H, scale_factor W)."""
        if self.with_cp and x.requires_grad:
            return torch_compat.checkpoint_activations(self.deconv_upsamping, x)
        return self.deconv_upsamping(x)
