"""Backbones: images to feature maps."""

from mmseg.models.backbones.fast_scnn import FastSCNN

__all__ = ["FastSCNN"]
