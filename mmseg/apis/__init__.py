"""Whole jobs in one call."""

from mmseg.apis.inference import inference_segmentor, init_segmentor
from mmseg.apis.train import train_segmentor

__all__ = ["inference_segmentor", "init_segmentor", "train_segmentor"]
