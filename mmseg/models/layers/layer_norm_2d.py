"""Layer norm over the channels of feature maps."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.models.layers.norm import NORM_LAYERS


@NORM_LAYERS.register_module("LN2d")
class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels of each pixel by themselves: (B, C, H, W) to the same shape.

    Args:
        num_features: number of channels.
        eps: added to the variance.
        elementwise_affine: whether there is a scale and an offset for each channel.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, elementwise_affine: bool = True) -> None:
        super().__init__(num_features, eps, elementwise_affine)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.normalize_last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def normalize_last(self, x: torch.Tensor) -> torch.Tensor:
        """The same for (B, H, W, C)."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
