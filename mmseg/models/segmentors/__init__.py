"""Segmentors: whole networks, from images to logits and losses."""

from mmseg.models.segmentors.cascade_encoder_decoder import CascadeEncoderDecoder
from mmseg.models.segmentors.encoder_decoder import EncoderDecoder, total_loss

__all__ = ["CascadeEncoderDecoder", "EncoderDecoder", "total_loss"]
