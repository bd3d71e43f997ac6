"""The classifier of Fast-SCNN (Poudel et al., arXiv 1902.04502): the FCN head with depthwise separable convolutions."""

from typing import Any, Mapping, Optional

import torch.nn as nn

from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.fcn_head import FCNHead
from mmseg.models.layers import DepthwiseSeparableConvModule


@HEADS.register_module()
class DepthwiseSeparableFCNHead(FCNHead):
    """FCNHead whose convolutions are depthwise separable.

    Args:
        dw_act_cfg: activation between the depthwise and the pointwise convolution.
        **kwargs: of FCNHead.
    """

    def __init__(self, *, dw_act_cfg: Optional[Mapping[str, Any]] = None, **kwargs: Any) -> None:
        self._dw_act_cfg = dw_act_cfg
        super().__init__(**kwargs)

    def _conv(self, in_channels: int, out_channels: int, dilation: int) -> nn.Module:
        return DepthwiseSeparableConvModule(
            in_channels,
            out_channels,
            self.kernel_size,
            padding=(self.kernel_size // 2) * dilation,
            dilation=dilation,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
            dw_act_cfg=self._dw_act_cfg,
        )
