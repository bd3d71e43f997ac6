"""What the algorithms have in common that choose whole images."""

from typing import Callable, Optional

import numpy as np

from ymir.mining.miner import Miner
from ymir.mining.region_statistics import Labels
from ymir.mining.regions import RegionScores


class ImageMiner(Miner):
    """Images are labelled as a whole, so that the mask is too."""

    def region_mask(
        self, regions: RegionScores, chosen: np.ndarray, superpixels: Optional[Labels] = None
    ) -> np.ndarray:
        return np.full(regions.size, 255 if len(chosen) else 0, np.uint8)


def as_scored(image_position: int, regions: RegionScores) -> RegionScores:
    """All regions of an image, in their order, with the scores that they have."""
    return regions


def with_image_score(image_scores: np.ndarray) -> Callable[[int, RegionScores], RegionScores]:
    """All regions of an image, in their order, with the score that `image_scores` (images,) holds for the image."""
    return lambda image_position, regions: regions.take(
        np.arange(len(regions)), np.full(len(regions), image_scores[image_position])
    )
