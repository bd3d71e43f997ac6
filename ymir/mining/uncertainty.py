"""Methods of measuring a pixel's uncertainty, by the names that the hyper-parameter uncertainty_method takes."""

from mmseg.registry import Registry
from ymir.mining.pixels import best_versus_second_best

# Functions from logits (C, H, W) to PixelScores.
UNCERTAINTIES = Registry("uncertainty_method")
UNCERTAINTIES.register_module("BvSB")(best_versus_second_best)
