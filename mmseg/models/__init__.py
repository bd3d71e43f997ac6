"""Networks: they know tensors, not files and not YMIR. Importing this package registers every part by its name."""

from mmseg.models import backbones, decode_heads, losses, necks, segmentors  # noqa: F401
from mmseg.models.builder import (
    BACKBONES,
    HEADS,
    LOSSES,
    NECKS,
    PIXEL_SAMPLERS,
    SEGMENTORS,
    build_backbone,
    build_head,
    build_loss,
    build_neck,
    build_segmentor,
)
from mmseg.models.segmentors import EncoderDecoder, total_loss

__all__ = [
    "BACKBONES",
    "HEADS",
    "LOSSES",
    "NECKS",
    "PIXEL_SAMPLERS",
    "SEGMENTORS",
    "EncoderDecoder",
    "build_backbone",
    "build_head",
    "build_loss",
    "build_neck",
    "build_segmentor",
    "total_loss",
]
