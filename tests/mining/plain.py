"""RSAL and RIPU written for clarity alone: float64, one pixel, region and image at a time, straight from the
definitions. The fast implementations are tested against these.

`tie` is the relative difference below which two values count as equal, which makes up for rounding errors.
"""

import math
from typing import Callable, List, NamedTuple, Sequence, Tuple

import numpy as np

TIE = 1e-11


class PlainRegion(NamedTuple):
    """One region of an image."""

    region: int
    score: float
    class_id: int
    pixel_count: int


class PlainChoice(NamedTuple):
    """Image scores, the chosen regions of each image, best first, and the order of the images."""

    image_scores: List[float]
    chosen: List[List[int]]
    order: List[int]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities (C, H, W), float64."""
    logits = np.asarray(logits, dtype=np.float64)
    below = logits - logits.max(axis=0)
    # The best class's 1 apart from the others: where they are tiny, nothing of them would be left beside it.
    others = np.sort(np.exp(below), axis=0)[:-1].sum(axis=0)
    return below - np.log1p(others)


def bvsb(logits: np.ndarray) -> np.ndarray:
    """(H, W): second best probability over best; 0 with one class."""
    if len(logits) == 1:
        return np.zeros(logits.shape[1:])
    ranked = np.sort(log_softmax(logits), axis=0)
    return np.exp(ranked[-2] - ranked[-1])


def entropy(logits: np.ndarray) -> np.ndarray:
    """(H, W): minus the sum of p log p."""
    log_p = log_softmax(logits)
    p = np.exp(log_p)
    return -np.where(p > 0, p * np.where(p > 0, log_p, 0), 0).sum(axis=0)


def least_confidence(logits: np.ndarray) -> np.ndarray:
    """(H, W): 1 less the best probability, which is the sum of all others."""
    ranked = np.sort(np.exp(log_softmax(logits)), axis=0)
    return ranked[:-1].sum(axis=0)


def margin(logits: np.ndarray) -> np.ndarray:
    """(H, W): 1 less the best probability, and the second best; 0 with one class."""
    if len(logits) == 1:
        return np.zeros(logits.shape[1:])
    ranked = np.sort(np.exp(log_softmax(logits)), axis=0)
    return ranked[:-1].sum(axis=0) + ranked[-2]


def mean_prediction(members: Sequence[np.ndarray]) -> np.ndarray:
    """Log-probabilities (C, H, W) of the mean of the members' probabilities, floored at 1e-12."""
    mean = sum(np.exp(log_softmax(member)) for member in members) / len(members)
    return np.log(np.maximum(mean, 1e-12))


def disagreement(uncertainty: Callable[[np.ndarray], np.ndarray], members: Sequence[np.ndarray]) -> np.ndarray:
    """(H, W): the uncertainty of the mean prediction, less the mean of the members' uncertainty, at least 0."""
    expected = sum(uncertainty(member) for member in members) / len(members)
    return np.maximum(uncertainty(mean_prediction(members)) - expected, 0)


def rsal_regions(logits: np.ndarray, superpixels: np.ndarray) -> List[PlainRegion]:
    """The superpixels of one image, by rising label."""
    uncertainty, class_map = bvsb(logits), np.argmax(logits, axis=0)
    regions = []
    for label in sorted(set(superpixels.reshape(-1).tolist())):
        inside = superpixels == label
        votes = [int((class_map[inside] == class_id).sum()) for class_id in range(len(logits))]
        score = math.fsum(uncertainty[inside]) / int(inside.sum())
        regions.append(PlainRegion(label, score, votes.index(max(votes)), int(inside.sum())))
    return regions


def rsal_select(pool: Sequence[List[PlainRegion]], class_balance: bool, topk: int, max_kept: int) -> PlainChoice:
    """The choice over a pool."""
    everything = [region for regions in pool for region in regions]
    weights = {}
    for region in everything:
        same = sum(other.class_id == region.class_id for other in everything) if class_balance else 0
        weights[region.class_id] = math.exp(-same / len(everything))
    if everything:
        percent = round(100 * max(0.8, 1 - max_kept * topk / len(everything)))
        threshold = np.percentile([region.score * weights[region.class_id] for region in everything], percent)
    image_scores, chosen = [], []
    for regions in pool:
        scores = [region.score * weights[region.class_id] for region in regions]
        left = list(range(len(regions)))
        picked: List[int] = []
        while left:
            best = _first_best([scores[i] for i in left], TIE)
            if len(picked) >= topk and scores[left[best]] < threshold * (1 - TIE):
                break
            picked.append(left.pop(best))
        image_scores.append(math.fsum(scores[i] for i in picked))
        chosen.append([regions[i].region for i in picked])
    return PlainChoice(image_scores, chosen, ranked(image_scores))


def ripu_scores(logits: np.ndarray, radius: int) -> np.ndarray:
    """(H, W): the score of the window around each pixel."""
    num_classes, height, width = logits.shape
    uncertainty, class_map = entropy(logits), np.argmax(logits, axis=0)
    scores = np.zeros((height, width))
    if num_classes == 1:
        return scores
    for y in range(height):
        for x in range(width):
            window = slice(max(0, y - radius), y + radius + 1), slice(max(0, x - radius), x + radius + 1)
            classes = class_map[window].reshape(-1).tolist()
            shares = [classes.count(class_id) / len(classes) for class_id in set(classes)]
            impurity = -math.fsum(share * math.log(share) for share in shares)
            scores[y, x] = uncertainty[window].mean() / math.log(num_classes) * impurity / math.log(num_classes)
    return scores


def ripu_choose(scores: np.ndarray, radius: int, topk: int, tie: float = TIE) -> List[Tuple[int, float]]:
    """Row-major centres and scores of the chosen windows, in the order of choice."""
    height, width = scores.shape
    free = [(y, x) for y in range(height) for x in range(width)]
    chosen = []
    while free and len(chosen) < topk:
        best_y, best_x = free[_first_best([scores[y, x] for y, x in free], tie)]
        chosen.append((best_y * width + best_x, float(scores[best_y, best_x])))
        free = [(y, x) for y, x in free if abs(y - best_y) > 2 * radius or abs(x - best_x) > 2 * radius]
    return chosen


def ripu_mask(shape: Tuple[int, int], centres: Sequence[int], radius: int) -> np.ndarray:
    """(H, W) uint8: 255 in the windows around the centres."""
    height, width = shape
    mask = np.zeros(shape, np.uint8)
    for y in range(height):
        for x in range(width):
            for centre in centres:
                if max(abs(y - centre // width), abs(x - centre % width)) <= radius:
                    mask[y, x] = 255
    return mask


def ranked(image_scores: Sequence[float]) -> List[int]:
    """Images by falling score, ties in their order."""
    return sorted(range(len(image_scores)), key=lambda image: (-image_scores[image], image))


def _first_best(values: Sequence[float], tie: float) -> int:
    limit = max(values) * (1 - tie)
    return next(i for i, value in enumerate(values) if value >= limit)
