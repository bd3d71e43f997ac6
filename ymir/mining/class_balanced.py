"""Uncertainty of rare classes, by how often the network predicts each."""

from typing import Any, Dict, Optional, Tuple

import numpy as np

from ymir.mining.image_miner import ImageMiner
from ymir.mining.miner import MINERS, REGION_MINERS, ArrayFactory
from ymir.mining.pixel_uncertainty import as_bands, pixel_uncertainty
from ymir.mining.pixels import Logits
from ymir.mining.pool_steps import ClassCounts, FinalScores, class_weights_fact, count_classes, weighed_by_class
from ymir.mining.region_statistics import Features, Labels, region_statistics
from ymir.mining.regions import Pool, RegionScores, Selection, rank_images
from ymir.mining.superpixel_miner import SuperpixelMiner


@MINERS.register_module("class_balanced")
class ClassBalancedImages(ImageMiner):
    """Uncertain images of rare classes: every pixel's uncertainty counts as often as its predicted class's weight says.

    The weights come by median frequency balancing (Eigen, Fergus: Predicting Depth, Surface Normals and Semantic Labels
    with a Common Multi-Scale Convolutional Architecture, ICCV 2015, section 4.3) from the predictions, for want of
    labels: the frequency of class c is the share of its pixels in the images where it is predicted, its weight w_c the
    median of all frequencies over its own. The regions of an image are its predicted classes; the image's score is the
    sum over them of w_c n_c u_c / n, of n_c of its n pixels with the mean uncertainty u_c. It is labelled as a whole.

    Args:
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_kept_mining_image: most images to label.

    Raises:
        ConfigError: there is no uncertainty method of that name.
    """

    def __init__(self, *, uncertainty_method: str, disagreement: str, max_kept_mining_image: int) -> None:
        self._uncertainty = pixel_uncertainty(uncertainty_method, disagreement)
        self._max_kept = max_kept_mining_image

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """The predicted classes of one image as its regions, whose numbers are the classes. Superpixels and features
        are not looked at."""
        bands = as_bands(logits)
        pixels = self._uncertainty(bands)
        return region_statistics(pixels, pixels.class_map, bands.channels)

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        weights, facts = _balance(count_classes(pool))
        weighed = weighed_by_class(weights)

        def image_score(regions: RegionScores) -> float:
            contribution = weights[regions.class_id] * regions.pixel_count * regions.score
            return float(contribution.sum() / regions.pixel_count.sum())

        def choose(image_position: int, regions: RegionScores) -> RegionScores:
            score = weighed(image_position, regions)
            best_first = np.argsort(-score, kind="stable")
            return regions.take(best_first, score[best_first])

        image_scores = np.fromiter((image_score(image) for image in pool), np.float64, len(pool))
        return rank_images(image_scores, choose, max_kept=self._max_kept, facts=facts)


@REGION_MINERS.register_module("class_balanced")
class ClassBalancedRegions(SuperpixelMiner):
    """Uncertain superpixels of rare classes: the mean of the pixels' uncertainty times the weight of the superpixel's
    class, and RSAL's choice. The weights are those of ClassBalancedImages, where all pixels of a superpixel count for
    its class.

    Args:
        superpixel_algorithm: a name in SUPERPIXELS.
        superpixel_backend: "opencv" or "torch".
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_superpixel_per_image: most superpixels in an image.
        max_kept_mining_image: most images to label.
        topk_superpixel_score: superpixels to label in an image at least.

    Raises:
        ConfigError: as of SuperpixelMiner.
    """

    def _final_scores(self, counts: ClassCounts) -> Tuple[FinalScores, Dict[str, Any]]:
        weights, facts = _balance(counts)
        return weighed_by_class(weights), facts


def median_frequency_weights(counts: ClassCounts) -> np.ndarray:
    """The weight of each class: the median frequency of the classes that occur over its own frequency; 0 for classes
    that do not occur."""
    occurs = counts.image_pixels > 0
    weights = np.zeros(len(occurs))
    if occurs.any():
        frequency = counts.pixels[occurs] / counts.image_pixels[occurs]
        weights[occurs] = np.median(frequency) / frequency
    return weights


def _balance(counts: ClassCounts) -> Tuple[np.ndarray, Dict[str, Any]]:
    """Weights of the classes, and the facts that say so."""
    weights = median_frequency_weights(counts)
    return weights, {"class weights": class_weights_fact(weights, counts)}
