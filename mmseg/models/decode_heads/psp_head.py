"""The head of PSPNet (Zhao et al., arXiv 1612.01105): what the image holds as a whole, at several scales."""

from typing import Any, Sequence

import torch

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.layers import PPM, ConvModule


@HEADS.register_module()
class PSPHead(DecodeHead):
    """Pyramid pooling, a convolution, a classifier.

    Args:
        pool_scales: the grids over which the features are averaged.
        **kwargs: of DecodeHead.
    """

    def __init__(self, *, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(pool_scales, (list, tuple)) or not pool_scales:
            raise ConfigError(f"{type(self).__name__}: pool_scales is a list of grid sizes, not {pool_scales!r}")
        self.pool_scales = tuple(pool_scales)
        layer_types = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        self.psp_modules = PPM(
            self.pool_scales, self.in_channels, self.channels, align_corners=self.align_corners, **layer_types
        )
        joined = self.in_channels + len(self.pool_scales) * self.channels
        self.bottleneck = ConvModule(joined, self.channels, 3, padding=1, **layer_types)

    def forward_features(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to (B, channels, h, w), what the classifier sees."""
        x = self.select_inputs(features)
        return self.bottleneck(torch.cat([x, *self.psp_modules(x)], dim=1))

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.cls_seg(self.forward_features(features))
