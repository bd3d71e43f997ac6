"""What the algorithms that choose regions do with the whole pool, by passes over it."""

from typing import Any, Callable, Dict, NamedTuple

import numpy as np

from ymir.mining.regions import Pool, RegionScores, Selection, rank_images
from ymir.mining.streamed_percentile import streamed_percentile

# However many images may be labelled, only the best fifth of the pool's regions passes the threshold.
_LEAST_PERCENTILE = 0.8

# From an image's position in the pool and its regions to their final scores (regions,), float64.
FinalScores = Callable[[int, RegionScores], np.ndarray]


class ClassCounts(NamedTuple):
    """Of each class 0 … n - 1, n - 1 being the highest in the pool: how many regions it has, how many pixels, and how
    many pixels the images hold in which it occurs; all int64."""

    regions: np.ndarray
    pixels: np.ndarray
    image_pixels: np.ndarray


def count_classes(pool: Pool) -> ClassCounts:
    """Count the classes of all regions of a pool, in one pass."""
    counts = np.zeros((3, 0), np.int64)
    for image in pool:
        if not len(image):
            continue
        regions = np.bincount(image.class_id)
        # The sums are of whole numbers below 2**53, which floats hold exactly.
        pixels = np.bincount(image.class_id, image.pixel_count).astype(np.int64)
        if len(regions) > counts.shape[1]:
            counts = np.pad(counts, [(0, 0), (0, len(regions) - counts.shape[1])])
        counts[0, : len(regions)] += regions
        counts[1, : len(regions)] += pixels
        counts[2, : len(regions)] += (regions > 0) * pixels.sum()
    return ClassCounts(*counts)


def select_best_regions(
    pool: Pool,
    final_scores: FinalScores,
    *,
    regions_in_pool: int,
    topk: int,
    max_kept: int,
    facts: Dict[str, Any],
) -> Selection:
    """Choose the regions to label: in each image the `topk` best, and all that reach a percentile of the pool's
    scores, which is the higher the more regions there are for each that may be labelled. Of equal regions the one with
    the lower number comes first. An image's score is the sum of its chosen regions' ones.

    Args:
        final_scores: the score of each region.
        regions_in_pool: number of regions of all images.
        topk: regions to choose in an image at least, as far as it has so many.
        max_kept: most images to label.
        facts: the beginning of the selection's facts.
    """
    threshold = np.inf
    facts = {**facts, "regions in the pool": regions_in_pool}
    if regions_in_pool:
        # At most all of them: the quotient of any larger number need not fit a float.
        wanted = min(max_kept * topk, regions_in_pool)
        percent = round(100 * max(_LEAST_PERCENTILE, 1 - wanted / regions_in_pool))
        threshold = streamed_percentile(
            lambda: (final_scores(position, regions) for position, regions in enumerate(pool)), regions_in_pool, percent
        )
        facts.update({"percentile": percent, "threshold": threshold})

    def choose(image_position: int, regions: RegionScores) -> RegionScores:
        score = final_scores(image_position, regions)
        # Stable, so that of equal scores the region with the lowest number comes first.
        best_first = np.argsort(-score, kind="stable")
        best_first = best_first[: max(topk, np.count_nonzero(score >= threshold))]
        return regions.take(best_first, score[best_first])

    image_scores = np.fromiter(
        (choose(position, regions).score.sum() for position, regions in enumerate(pool)), np.float64, len(pool)
    )
    return rank_images(image_scores, choose, max_kept=max_kept, facts=facts)


def weighed_by_class(weights: np.ndarray) -> FinalScores:
    """Scores times the weight of each region's class, of `weights` (classes,)."""
    return lambda image_position, regions: regions.score * weights[regions.class_id]


def class_weights_fact(weights: np.ndarray, counts: ClassCounts) -> Dict[int, float]:
    """The weights (classes,) of the classes that occur, by class."""
    return {int(class_id): float(weights[class_id]) for class_id in np.flatnonzero(counts.regions)}
