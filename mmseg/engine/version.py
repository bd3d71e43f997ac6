"""The version of mmseg that checkpoints name."""

__version__ = "0.2.0"
