"""The pyramid pooling module of PSPNet (Zhao et al., arXiv 1612.01105)."""

from typing import Any, List, Mapping, Optional, Sequence

import torch
import torch.nn as nn

from mmseg.models.layers.conv_module import ConvModule
from mmseg.models.layers.resize import resize


class PPM(nn.ModuleList):
    """For each scale s: average the input over an s by s grid, reduce its channels, resize it back.

    Args:
        pool_scales: the grid sizes.
        in_channels: channels of the input.
        channels: channels of each output.
        conv_cfg, norm_cfg, act_cfg: of the reducing convolutions, as in ConvModule.
        align_corners: of the resizing.
        **kwargs: further arguments of the ConvModules.
    """

    def __init__(
        self,
        pool_scales: Sequence[int],
        in_channels: int,
        channels: int,
        *,
        conv_cfg: Optional[Mapping[str, Any]],
        norm_cfg: Optional[Mapping[str, Any]],
        act_cfg: Optional[Mapping[str, Any]],
        align_corners: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        for scale in pool_scales:
            reduce = ConvModule(
                in_channels, channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs
            )
            self.append(nn.Sequential(nn.AdaptiveAvgPool2d(scale), reduce))

    def forward(self, x: torch.Tensor) -> List[torch.Tensor]:
        """(B, in_channels, H, W) to one (B, channels, H, W) for each scale."""
        return [resize(branch(x), size=x.shape[2:], align_corners=self.align_corners) for branch in self]
