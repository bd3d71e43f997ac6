"""Necks: feature maps to feature maps."""

from mmseg.models.necks.fpn import FPN

__all__ = ["FPN"]
