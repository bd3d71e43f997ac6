"""The head of FCN (Long et al., arXiv 1411.4038): a few convolutions and a classifier."""

from typing import Any, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import ConvModule


@HEADS.register_module()
class FCNHead(DecodeHead):
    """`num_convs` convolutions, the input joined to their output, a classifier.

    Args:
        num_convs: number of convolutions; 0 classifies the input as it is.
        kernel_size: of the convolutions.
        concat_input: join the input to the output of the convolutions and convolve once more.
        dilation: of the convolutions.
        **kwargs: of DecodeHead.
    """

    def __init__(
        self, *, num_convs: int = 2, kernel_size: int = 3, concat_input: bool = True, dilation: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if num_convs < 0 or dilation < 1:
            raise ConfigError(
                f"{type(self).__name__}: num_convs is 0 or more and dilation 1 or more, not {num_convs} and {dilation}"
            )
        if num_convs == 0 and self.in_channels != self.channels:
            raise ConfigError(
                f"{type(self).__name__}: with num_convs=0, in_channels {self.in_channels} and channels {self.channels} "
                "must be equal"
            )
        self.num_convs = num_convs
        self.kernel_size = kernel_size
        self.concat_input = concat_input
        widths = [self.in_channels] + [self.channels] * num_convs
        self.convs = nn.Sequential(
            *(self._conv(before, after, dilation) for before, after in zip(widths[:-1], widths[1:]))
        )
        if concat_input:
            self.conv_cat = self._conv(self.in_channels + self.channels, self.channels, 1)

    def _conv(self, in_channels: int, out_channels: int, dilation: int) -> nn.Module:
        """A convolution of this head that keeps the size of its input."""
        return ConvModule(
            in_channels,
            out_channels,
            self.kernel_size,
            padding=(self.kernel_size // 2) * dilation,
            dilation=dilation,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def forward_features(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to (B, channels, h, w), what the classifier sees."""
        x = self.select_inputs(features)
        output = self.convs(x)
        if self.concat_input:
            output = self.conv_cat(torch.cat([x, output], dim=1))
        return output

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.cls_seg(self.forward_features(features))
