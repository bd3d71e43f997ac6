"""Active learning: which images, and which of their regions, are worth labelling.

Pure functions and small classes over logits and superpixels; they know no files, models or jobs.
"""

from ymir.mining.miner import MINERS, REGION_MINERS, Miner
from ymir.mining.regions import Pool, RegionScores, Selection
from ymir.mining.registry import build_miner
from ymir.mining.superpixels import SUPERPIXELS, compute_superpixels
from ymir.mining.uncertainty import UNCERTAINTIES

__all__ = [
    "MINERS",
    "REGION_MINERS",
    "SUPERPIXELS",
    "UNCERTAINTIES",
    "Miner",
    "Pool",
    "RegionScores",
    "Selection",
    "build_miner",
    "compute_superpixels",
]
