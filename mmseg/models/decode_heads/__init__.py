"""Decode heads: feature maps to logits."""

from mmseg.models.decode_heads.aspp_head import ASPPHead
from mmseg.models.decode_heads.cascade_decode_head import CascadeDecodeHead
from mmseg.models.decode_heads.decode_head import DecodeHead
from mmseg.models.decode_heads.fcn_head import FCNHead
from mmseg.models.decode_heads.fpn_head import FPNHead
from mmseg.models.decode_heads.lraspp_head import LRASPPHead
from mmseg.models.decode_heads.ocr_head import OCRHead
from mmseg.models.decode_heads.point_head import PointHead
from mmseg.models.decode_heads.psp_head import PSPHead
from mmseg.models.decode_heads.segformer_head import SegformerHead
from mmseg.models.decode_heads.sep_aspp_head import DepthwiseSeparableASPPHead
from mmseg.models.decode_heads.sep_fcn_head import DepthwiseSeparableFCNHead
from mmseg.models.decode_heads.stdc_head import STDCHead
from mmseg.models.decode_heads.uper_head import UPerHead

__all__ = [
    "ASPPHead",
    "CascadeDecodeHead",
    "DecodeHead",
    "DepthwiseSeparableASPPHead",
    "DepthwiseSeparableFCNHead",
    "FCNHead",
    "FPNHead",
    "LRASPPHead",
    "OCRHead",
    "PSPHead",
    "PointHead",
    "STDCHead",
    "SegformerHead",
    "UPerHead",
]
