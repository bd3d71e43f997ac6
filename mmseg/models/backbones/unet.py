"""U-Net (Ronneberger et al., arXiv 1505.04597): an encoder, and a decoder that takes in its maps stage by stage."""

from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg import torch_compat
from mmseg.errors import ConfigError, DataError
from mmseg.models.backbones.initial_weights import choose_init_cfg
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import UPSAMPLE_LAYERS, BaseModule, ConvModule, fix_batch_norm, resize
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]


class BasicConvBlock(nn.Module):
    """`num_convs` convolutions of size 3; the first has the stride, the others the dilation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_convs: int,
        stride: int,
        dilation: int,
        with_cp: bool,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        layers = []
        for index in range(num_convs):
            first = index == 0
            layers.append(
                ConvModule(
                    in_channels if first else out_channels,
                    out_channels,
                    3,
                    stride=stride if first else 1,
                    dilation=1 if first else dilation,
                    padding=1 if first else dilation,
                    conv_cfg=conv_cfg,
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
            )
        self.convs = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.with_cp and x.requires_grad:
            return torch_compat.checkpoint_activations(self.convs, x)
        return self.convs(x)


class UpConvBlock(nn.Module):
    """Bring coarse features to the size and width of the encoder's, join both, convolve.

    `upsample_cfg` None is for a stage that did not change the size: a convolution changes the width alone.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        num_convs: int,
        dilation: int,
        upsample_cfg: Cfg,
        with_cp: bool,
        conv_cfg: Cfg,
        norm_cfg: Cfg,
        act_cfg: Cfg,
    ) -> None:
        super().__init__()
        layer_types = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv_block = BasicConvBlock(
            2 * skip_channels,
            out_channels,
            num_convs=num_convs,
            stride=1,
            dilation=dilation,
            with_cp=with_cp,
            conv_cfg=conv_cfg,
            **layer_types,
        )
        if upsample_cfg is None:
            self.upsample = ConvModule(in_channels, skip_channels, 1, conv_cfg=conv_cfg, **layer_types)
        else:
            self.upsample = UPSAMPLE_LAYERS.build(
                upsample_cfg, in_channels=in_channels, out_channels=skip_channels, with_cp=with_cp, **layer_types
            )

    def forward(self, skip: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        # An odd number of rows or columns was rounded down on the way to the coarser stage.
        x = resize(self.upsample(x), size=skip.shape[2:])
        return self.conv_block(torch.cat([skip, x], dim=1))


@BACKBONES.register_module()
class UNet(BaseModule):
    """U-Net without its classifier.

    An image whose sides the network cannot halve evenly is taken as well: the decoder's features are then resized to
    the encoder's by a pixel.

    Args:
        in_channels: channels of the image.
        base_channels: channels of the first stage; each further stage has twice as many.
        num_stages: number of the encoder's stages.
        strides: of the first convolution of each stage.
        enc_num_convs, dec_num_convs: convolutions in each stage of the encoder (`num_stages` entries) and the decoder
            (one fewer).
        downsamples: whether each stage but the first halves the size: by pooling, or by its stride where that is 2.
        enc_dilations, dec_dilations: of all convolutions of a stage but the first.
        with_cp: compute the activations again in the backward pass instead of keeping them.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
        upsample_cfg: how the decoder doubles the size: `InterpConv` or `DeconvModule` with their arguments.
        norm_eval: keep batch norm's running statistics fixed in training.
        dcn, plugins: refused.
        pretrained: address of pre-trained weights: the same as `init_cfg=dict(type='Pretrained', checkpoint=…)`.
        init_cfg: initial weights.

    Raises:
        ConfigError: an argument for the stages does not have an entry for each.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 5,
        strides: Sequence[int] = (1, 1, 1, 1, 1),
        enc_num_convs: Sequence[int] = (2, 2, 2, 2, 2),
        dec_num_convs: Sequence[int] = (2, 2, 2, 2),
        downsamples: Sequence[bool] = (True, True, True, True),
        enc_dilations: Sequence[int] = (1, 1, 1, 1, 1),
        dec_dilations: Sequence[int] = (1, 1, 1, 1),
        with_cp: bool = False,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        upsample_cfg: Mapping[str, Any] = {"type": "InterpConv"},
        norm_eval: bool = False,
        dcn: Cfg = None,
        plugins: Any = None,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(choose_init_cfg("UNet", init_cfg=init_cfg, pretrained=pretrained))
        if dcn is not None or plugins is not None:
            raise ConfigError("UNet: dcn and plugins are not supported; leave them out")
        for name, value, length in (
            ("strides", strides, num_stages),
            ("enc_num_convs", enc_num_convs, num_stages),
            ("dec_num_convs", dec_num_convs, num_stages - 1),
            ("downsamples", downsamples, num_stages - 1),
            ("enc_dilations", enc_dilations, num_stages),
            ("dec_dilations", dec_dilations, num_stages - 1),
        ):
            if len(value) != length:
                raise ConfigError(f"UNet: {name} needs {length} entries for {num_stages} stages, not {value!r}")
        self.norm_eval = norm_eval
        # How many pixels of the image become one of the coarsest map.
        self.total_stride = 1
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        common = {"with_cp": with_cp, "conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        for stage in range(num_stages):
            channels = base_channels * 2**stage
            halves = stage > 0 and (strides[stage] != 1 or downsamples[stage - 1])
            pools = halves and strides[stage] == 1
            self.total_stride *= 2 if pools else strides[stage]
            encode = BasicConvBlock(
                in_channels if stage == 0 else channels // 2,
                channels,
                num_convs=enc_num_convs[stage],
                stride=strides[stage],
                dilation=enc_dilations[stage],
                **common,
            )
            self.encoder.append(nn.Sequential(nn.MaxPool2d(2), encode) if pools else nn.Sequential(encode))
            if stage > 0:
                self.decoder.append(
                    UpConvBlock(
                        channels,
                        channels // 2,
                        channels // 2,
                        num_convs=dec_num_convs[stage - 1],
                        dilation=dec_dilations[stage - 1],
                        upsample_cfg=upsample_cfg if halves else None,
                        **common,
                    )
                )

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the coarsest map and the decoder's, coarsest first.

        With the default arguments these are (B, 16 base_channels, H/16, W/16) to (B, base_channels, H, W).

        Raises:
            DataError: the image is smaller than one pixel of the coarsest map.
        """
        if min(image.shape[2:]) < self.total_stride:
            raise DataError(
                f"UNet needs images of at least {self.total_stride} x {self.total_stride} pixels, "
                f"not {image.shape[2]} x {image.shape[3]}"
            )
        skips = []
        x = image
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        outputs = [x]
        for decode, skip in zip(reversed(self.decoder), reversed(skips[:-1])):
            x = decode(skip, x)
            outputs.append(x)
        return tuple(outputs)

    def train(self, mode: bool = True) -> "UNet":
        """Training mode, with `norm_eval` but for batch norm."""
        super().train(mode)
        if mode and self.norm_eval:
            fix_batch_norm(self)
        return self
