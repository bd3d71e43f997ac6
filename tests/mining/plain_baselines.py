"""The baselines written for clarity alone, as plain.py does it for RSAL and RIPU: float64, one pixel, region and image
at a time, straight from the definitions.

A pool is given by the uncertainty (H, W) and the class map (H, W) of each image, and its superpixels (H, W).
"""

import math
import statistics
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from tests.mining.plain import TIE, PlainChoice, PlainRegion, ranked


class PlainImage(NamedTuple):
    """What one image's logits say."""

    uncertainty: np.ndarray
    class_map: np.ndarray


def mean_uncertainty(image: PlainImage) -> float:
    """Over all pixels."""
    return math.fsum(image.uncertainty.reshape(-1)) / image.uncertainty.size


def regions(image: PlainImage, labels: np.ndarray) -> List[PlainRegion]:
    """The regions by rising label: mean uncertainty, most frequent class (the lowest on ties), size."""
    found = []
    for label in sorted(set(labels.reshape(-1).tolist())):
        classes = image.class_map[labels == label].tolist()
        class_id = min(set(classes), key=lambda c: (-classes.count(c), c))
        score = math.fsum(image.uncertainty[labels == label]) / len(classes)
        found.append(PlainRegion(label, score, class_id, len(classes)))
    return found


def choose_regions(scores: Sequence[List[float]], *, topk: int, max_kept: int) -> PlainChoice:
    """From the final scores of all regions of each image: as RSAL chooses. Chosen regions are places in the lists."""
    everything = [score for image in scores for score in image]
    threshold = math.inf
    if everything:
        percent = round(100 * max(0.8, 1 - max_kept * topk / len(everything)))
        threshold = float(np.percentile(everything, percent))
    chosen, image_scores = [], []
    for image in scores:
        best_first = _best_first(image)
        picked = [
            place for number, place in enumerate(best_first) if number < topk or image[place] >= threshold * (1 - TIE)
        ]
        chosen.append(picked)
        image_scores.append(math.fsum(image[place] for place in picked))
    return PlainChoice(image_scores, chosen, ranked(image_scores))


def class_weights(pool: Sequence[List[PlainRegion]]) -> Dict[int, float]:
    """Median frequency balancing by the predicted pixels of each class."""
    frequency = {}
    for class_id in sorted({region.class_id for image in pool for region in image}):
        pixels = sum(region.pixel_count for image in pool for region in image if region.class_id == class_id)
        images = [image for image in pool if any(region.class_id == class_id for region in image)]
        frequency[class_id] = pixels / sum(region.pixel_count for image in images for region in image)
    median = statistics.median(frequency.values()) if frequency else 0.0
    return {class_id: median / share for class_id, share in frequency.items()}


def class_balanced_images(pool: Sequence[PlainImage]) -> List[float]:
    """Image scores: the mean over the pixels of uncertainty times the weight of the pixel's class."""
    weights = class_weights([regions(image, image.class_map) for image in pool])
    scores = []
    for image in pool:
        weighed = [
            weights[class_id] * uncertainty
            for class_id, uncertainty in zip(image.class_map.reshape(-1).tolist(), image.uncertainty.reshape(-1))
        ]
        scores.append(math.fsum(weighed) / len(weighed))
    return scores


def k_centre(points: np.ndarray, count: int) -> Tuple[List[int], List[float], List[float]]:
    """Rows in the order of choice, their distances at the time of choice, and all rows' distances at the end."""
    points = np.asarray(points, dtype=np.float64)
    if not len(points):
        return [], [], []
    mean = [math.fsum(column) / len(points) for column in points.T]
    chosen = [min(range(len(points)), key=lambda row: (_distance(points[row], mean), row))]
    distances = []
    while len(chosen) < min(count, len(points)):
        free = [row for row in range(len(points)) if row not in chosen]
        nearest = {row: min(_distance(points[row], points[centre]) for centre in chosen) for row in free}
        best = max(free, key=lambda row: (nearest[row], -row))
        chosen.append(best)
        distances.append(nearest[best])
    first = max(_distance(point, points[chosen[0]]) for point in points)
    final = [min(_distance(point, points[centre]) for centre in chosen) for point in points]
    return chosen, [first, *distances], final


def _distance(point: Sequence[float], other: Sequence[float]) -> float:
    return math.sqrt(math.fsum((a - b) ** 2 for a, b in zip(point, other)))


def _best_first(scores: Sequence[float]) -> List[int]:
    """Places by falling score; scores that differ by no more than rounding errors are equal."""
    left, order = list(range(len(scores))), []
    while left:
        limit = max(scores[place] for place in left) * (1 - TIE)
        order.append(left.pop(next(i for i, place in enumerate(left) if scores[place] >= limit)))
    return order
