"""Methods of measuring a pixel's uncertainty, by the names that the hyper-parameter uncertainty_method takes."""

from mmseg.registry import Registry
from ymir.mining.pixels import best_versus_second_best, entropy, least_confidence, margin

# Functions from logits (C, H, W), as a tensor or LogitBands, to PixelScores.
UNCERTAINTIES = Registry("uncertainty_method")
UNCERTAINTIES.register_module("BvSB")(best_versus_second_best)
UNCERTAINTIES.register_module("entropy")(entropy)
UNCERTAINTIES.register_module("margin")(margin)
UNCERTAINTIES.register_module("least_confidence")(least_confidence)
