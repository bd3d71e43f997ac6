"""Diversity: images that are spread over the pool in the network's features."""

from typing import Optional

import numpy as np

from ymir.mining.image_miner import ImageMiner, as_scored, with_image_score
from ymir.mining.k_centre import farthest_first
from ymir.mining.miner import MINERS, ArrayFactory
from ymir.mining.pixel_uncertainty import as_bands, pixel_uncertainty
from ymir.mining.pixels import Logits
from ymir.mining.region_statistics import Features, Labels, image_statistics, whole_image
from ymir.mining.regions import Pool, RegionScores, Selection


@MINERS.register_module("coreset")
class Coreset(ImageMiner):
    """Core-set selection (Sener, Savarese: Active Learning for Convolutional Neural Networks: A Core-Set Approach,
    ICLR 2018): the k-centre greedy choice of as many images as may be labelled, by the Euclidean distance of their
    features, pooled over the image. The first is the image nearest to the mean of the pool.

    The score of a chosen image is its distance from the nearest of those chosen before it (the first's is that of the
    image farthest from it), which falls in the order of choice; that of any other its distance from the nearest chosen
    one, which is not above them. Chosen images rank in the order of choice and before the others.

    Args:
        max_kept_mining_image: most images to label.
    """

    needs_features = True

    def __init__(self, *, max_kept_mining_image: int) -> None:
        self._max_kept = max_kept_mining_image

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """The whole image as one region with score 0 and its features. Superpixels are not looked at."""
        bands = as_bands(logits)
        return whole_image(bands.class_map(), bands.channels, np.zeros(1), _needed(features))

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        centres = farthest_first(_pool_features(pool, np.arange(len(pool)), array), self._max_kept)
        image_scores = centres.to_nearest.copy()
        image_scores[centres.chosen] = centres.distance

        facts = {}
        if len(pool):
            facts["greatest distance to a chosen image"] = float(centres.to_nearest.max())
        order = _chosen_first(centres.chosen, image_scores)
        return Selection(image_scores, order, order[: self._max_kept], with_image_score(image_scores), facts)


@MINERS.register_module("uncertainty_coreset")
class UncertaintyCoreset(ImageMiner):
    """The most uncertain images first, then the k-centre greedy choice among them: score, then spread, as in Yang,
    Zhang, Chen, Zhang, Chen: Suggestive Annotation, A Deep Active Learning Framework for Biomedical Image Segmentation,
    MICCAI 2017, by the spread of Sener and Savarese (see Coreset).

    The candidates are `coreset_candidates` times as many as may be labelled, of the highest mean uncertainty over their
    pixels. The score of a chosen image is its distance from the nearest of those chosen before it (the first's is that
    of the candidate farthest from it) plus the highest uncertainty in the pool; that of any other is its uncertainty.
    So chosen images rank before the others and in the order of choice, the others by falling uncertainty.

    Args:
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_kept_mining_image: most images to label.
        coreset_candidates: how many times as many images are spread over.

    Raises:
        ConfigError: there is no uncertainty method of that name.
    """

    needs_features = True

    def __init__(
        self, *, uncertainty_method: str, disagreement: str, max_kept_mining_image: int, coreset_candidates: int
    ) -> None:
        self._uncertainty = pixel_uncertainty(uncertainty_method, disagreement)
        self._max_kept = max_kept_mining_image
        self._factor = coreset_candidates

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """The whole image as one region, scored by its uncertainty, and its features. Superpixels are not looked at."""
        bands = as_bands(logits)
        return image_statistics(self._uncertainty(bands), bands.channels, _needed(features))

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        image_scores = np.fromiter((image.score[0] for image in pool), np.float64, len(pool))
        most_uncertain = np.argsort(-image_scores, kind="stable")[: self._factor * self._max_kept]
        # In the order of the pool, in which it is read.
        candidates = np.sort(most_uncertain)
        centres = farthest_first(_pool_features(pool, candidates, array), self._max_kept)
        chosen = candidates[centres.chosen]
        facts = {"candidates": len(candidates)}
        if len(pool):
            facts["lowest uncertainty of a candidate"] = float(image_scores[most_uncertain[-1]])
            facts["greatest distance of a candidate to a chosen image"] = float(centres.to_nearest.max())
            image_scores[chosen] = centres.distance + image_scores.max()
        order = _chosen_first(chosen, image_scores)
        return Selection(image_scores, order, order[: self._max_kept], as_scored, facts)


def _needed(features: Optional[Features]) -> Features:
    if features is None:
        raise ValueError("features are needed to spread images over them")
    return features


def _pool_features(pool: Pool, positions: np.ndarray, array: ArrayFactory) -> np.ndarray:
    """(len(positions), D) float32, the features of the images at these positions, which rise."""
    result = np.zeros((0, 0), np.float32)
    row = 0
    for position, image in enumerate(pool):
        if row == len(positions):
            break
        if position != positions[row]:
            continue
        features = _needed(image.features)
        if not row:
            result = array((len(positions), len(features)), np.float32)
        if len(features) != result.shape[1]:
            raise ValueError(f"image {position} of the pool has {len(features)} features and not {result.shape[1]}")
        result[row] = features
        row += 1
    return result


def _chosen_first(chosen: np.ndarray, image_scores: np.ndarray) -> np.ndarray:
    """The chosen images in their order, then the others by falling score, ties in the order of the pool."""
    by_score = np.argsort(-image_scores, kind="stable")
    is_chosen = np.zeros(len(image_scores), bool)
    is_chosen[chosen] = True
    return np.concatenate([chosen, by_score[~is_chosen[by_score]]])
