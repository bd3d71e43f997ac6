"""How well superpixels follow a labelled image, by the two measures that comparisons of superpixels report."""

import cv2
import numpy as np


def boundary_recall(labels: np.ndarray, truth: np.ndarray, tolerance: int = 2, ignore: int = 255) -> float:
    """The share of the truth's boundary pixels that have a superpixel boundary near: TP / (TP + FN).

    Neubert, Protzel: Superpixel Benchmark and Comparison, 2012, equation 2, with the square neighbourhood of Stutz,
    Hermans, Leibe: Superpixels, An Evaluation of the State-of-the-Art, CVIU 2018, equation 1. A boundary pixel is one
    of which a neighbour above, below, left or right has another label; in the truth ignored pixels make no boundary.

    Args:
        labels: (H, W) integers, the superpixels.
        truth: (H, W) integers, the segments to follow.
        tolerance: how near, in pixels: within (2 tolerance + 1)² pixels around.
        ignore: the truth's value where it is not known.

    Returns:
        0 … 1, and 1 where the truth has no boundary.

    Raises:
        ValueError: the two are not (H, W) of one size.
    """
    _check(labels, truth)
    wanted = _boundary(truth, truth != ignore)
    count = int(wanted.sum())
    if count == 0:
        return 1.0
    found = _boundary(labels, np.ones(labels.shape, bool)).astype(np.uint8)
    near = cv2.dilate(found, np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8))
    return int(near[wanted].sum()) / count


def under_segmentation_error(labels: np.ndarray, truth: np.ndarray, ignore: int = 255) -> float:
    """How much superpixels reach over the truth's segments: sum of min(|S ∩ G|, |S - G|) / N, over each segment G and
    each superpixel S that meets it.

    Neubert, Protzel: Superpixel Benchmark and Comparison, 2012, equation 4; Stutz, Hermans, Leibe: Superpixels, An
    Evaluation of the State-of-the-Art, CVIU 2018, equation 3. A segment is all pixels of one value, and ignored pixels
    count nowhere.

    Args:
        labels: (H, W) non-negative integers, the superpixels.
        truth: (H, W) non-negative integers, the segments.
        ignore: the truth's value where it is not known.

    Returns:
        0, for superpixels that lie in one segment each, … 1; 0 where all is ignored.

    Raises:
        ValueError: the two are not (H, W) of one size.
    """
    _check(labels, truth)
    known = truth != ignore
    superpixel, segment = labels[known].astype(np.int64), truth[known].astype(np.int64)
    if not len(segment):
        return 0.0
    num_segments = int(segment.max()) + 1
    shared = np.bincount(superpixel * num_segments + segment, minlength=(int(superpixel.max()) + 1) * num_segments)
    shared = shared.reshape(-1, num_segments)
    size = shared.sum(1, keepdims=True)
    return int(np.minimum(shared, size - shared).sum()) / len(segment)


def _boundary(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    boundary = np.zeros(labels.shape, bool)
    right = (labels[:, 1:] != labels[:, :-1]) & known[:, 1:] & known[:, :-1]
    below = (labels[1:] != labels[:-1]) & known[1:] & known[:-1]
    boundary[:, 1:] |= right
    boundary[:, :-1] |= right
    boundary[1:] |= below
    boundary[:-1] |= below
    return boundary


def _check(labels: np.ndarray, truth: np.ndarray) -> None:
    if labels.ndim != 2 or labels.shape != truth.shape:
        raise ValueError(f"superpixels and truth must be (H, W) of one size, not {labels.shape} and {truth.shape}")
