"""Decode heads: feature maps to logits."""

from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.decode_heads.fcn_head import FCNHead
from mmseg.models.decode_heads.sep_fcn_head import DepthwiseSeparableFCNHead

__all__ = ["DecodeHead", "DepthwiseSeparableFCNHead", "FCNHead"]
