"""Uncertainty sampling: images, or superpixels, whose pixels are uncertain."""

from typing import Optional

import numpy as np

from ymir.mining.image_miner import ImageMiner, as_scored
from ymir.mining.miner import MINERS, REGION_MINERS, ArrayFactory
from ymir.mining.pixel_uncertainty import as_bands, pixel_uncertainty
from ymir.mining.pixels import Logits
from ymir.mining.region_statistics import Features, Labels, image_statistics
from ymir.mining.regions import Pool, RegionScores, Selection, rank_images
from ymir.mining.superpixel_miner import SuperpixelMiner


@MINERS.register_module("entropy")
@MINERS.register_module("margin")
@MINERS.register_module("least_confidence")
@MINERS.register_module("BvSB")
class ImageUncertainty(ImageMiner):
    """Uncertainty sampling (Lewis, Gale: A Sequential Algorithm for Training Text Classifiers, SIGIR 1994; Settles:
    Active Learning Literature Survey, 2009, section 3.1) of images: the score is the mean of the pixels' uncertainty.

    Args:
        mining_algorithm: the uncertainty, a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_kept_mining_image: most images to label.

    Raises:
        ConfigError: there is no uncertainty method of that name.
    """

    def __init__(self, *, mining_algorithm: str, disagreement: str, max_kept_mining_image: int) -> None:
        self._uncertainty = pixel_uncertainty(mining_algorithm, disagreement)
        self._max_kept = max_kept_mining_image

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """The whole image as one region. Superpixels and features are not looked at."""
        bands = as_bands(logits)
        return image_statistics(self._uncertainty(bands), bands.channels)

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        image_scores = np.fromiter((image.score[0] for image in pool), np.float64, len(pool))
        return rank_images(image_scores, as_scored, max_kept=self._max_kept)


@REGION_MINERS.register_module("entropy")
@REGION_MINERS.register_module("margin")
@REGION_MINERS.register_module("least_confidence")
@REGION_MINERS.register_module("BvSB")
class RegionUncertainty(SuperpixelMiner):
    """Uncertainty sampling of superpixels, as a baseline of Cai et al. (CVPR 2021): the score is the mean of the
    pixels' uncertainty, and the choice is RSAL's without its balance of classes.

    Args:
        mining_algorithm: the uncertainty, a name in UNCERTAINTIES.
        superpixel_algorithm: a name in SUPERPIXELS.
        superpixel_backend: "opencv" or "torch".
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_superpixel_per_image: most superpixels in an image.
        max_kept_mining_image: most images to label.
        topk_superpixel_score: superpixels to label in an image at least.

    Raises:
        ConfigError: as of SuperpixelMiner.
    """

    def __init__(
        self,
        *,
        mining_algorithm: str,
        superpixel_algorithm: str,
        superpixel_backend: str,
        disagreement: str,
        max_superpixel_per_image: int,
        max_kept_mining_image: int,
        topk_superpixel_score: int,
    ) -> None:
        super().__init__(
            superpixel_algorithm=superpixel_algorithm,
            superpixel_backend=superpixel_backend,
            max_superpixel_per_image=max_superpixel_per_image,
            uncertainty_method=mining_algorithm,
            disagreement=disagreement,
            max_kept_mining_image=max_kept_mining_image,
            topk_superpixel_score=topk_superpixel_score,
        )
