"""Convolution with the "SAME" padding of TensorFlow, in which MobileNetV3 was published."""

from typing import Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.models.layers.conv_module import CONV_LAYERS, Size


@CONV_LAYERS.register_module()
class Conv2dAdaptivePadding(nn.Conv2d):
    """A convolution that pads its input so that the output has ceil(size / stride) rows and columns.

    An odd number of padded rows has the larger part at the bottom, and columns at the right. Stride and dilation may be
    changed after construction.

    Args:
        in_channels, out_channels, kernel_size, stride, dilation, groups, bias: as in Conv2d.
        padding: not used; it is there because every convolution of a ConvModule is given one.
        padding_mode: only 'zeros'.
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
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias, padding_mode)

    def _padding(self, size: int, dimension: int) -> Tuple[int, int]:
        """Pixels to add before and after an input of `size` pixels."""
        stride, dilation = self.stride[dimension], self.dilation[dimension]
        steps = (size + stride - 1) // stride - 1
        total = max(steps * stride + (self.kernel_size[dimension] - 1) * dilation + 1 - size, 0)
        return total // 2, total - total // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, ceil(H / stride), ceil(W / stride))."""
        top, bottom = self._padding(x.shape[2], 0)
        left, right = self._padding(x.shape[3], 1)
        if (top, left) == (bottom, right):
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        x = F.pad(x, [left, right, top, bottom])
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
