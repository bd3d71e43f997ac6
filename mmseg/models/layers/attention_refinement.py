"""The attention refinement module of BiSeNet (Yu et al., arXiv 1808.00897)."""

from typing import Any, Mapping, Optional

import torch
import torch.nn as nn

from mmseg.models.layers.conv_module import ConvModule

Cfg = Optional[Mapping[str, Any]]


class AttentionRefinementModule(nn.Module):
    """A convolution whose channels are weighed by their means over the image.

    Args:
        in_channels, out_channels: channels before and after.
        conv_cfg, norm_cfg, act_cfg: as in ConvModule.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = {"type": "BN"},  # noqa: B006 - never changed
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
    ) -> None:
        super().__init__()
        common = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.conv_layer = ConvModule(in_channels, out_channels, 3, padding=1, act_cfg=act_cfg, **common)
        self.atten_conv_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d((1, 1)),
            ConvModule(out_channels, out_channels, 1, act_cfg=None, **common),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) to (B, out_channels, H, W)."""
        x = self.conv_layer(x)
        return x * self.atten_conv_layer(x)
