"""The registry of transforms."""

from mmseg.registry import Registry

TRANSFORMS = Registry("transform")
