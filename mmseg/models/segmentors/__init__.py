"""Segmentors: whole networks, from images to logits and losses."""

from mmseg.models.segmentors.encoder_decoder import EncoderDecoder, total_loss

__all__ = ["EncoderDecoder", "total_loss"]
