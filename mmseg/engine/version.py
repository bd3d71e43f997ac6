"""The version of mmseg that checkpoints name."""

__version__ = "0.1.0"
