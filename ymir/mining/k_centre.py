"""Points that are spread over a set of points, so that none is far from the nearest."""

from typing import NamedTuple

import numpy as np

# Values worked on at once.
_BLOCK = 1 << 20
# How much nearer, relatively, a centre must be for rounding errors not to matter.
_SLACK = 1e-9


class Centres(NamedTuple):
    """Chosen points.

    Args:
        chosen: (k,) int64, the points' rows, in the order of choice.
        distance: (k,) float64, of each to the nearest of those before it, so that they fall; the first's is that of the
            point farthest from it, which is the second's.
        to_nearest: (n,) float64, of all points to the nearest of all chosen ones.
    """

    chosen: np.ndarray
    distance: np.ndarray
    to_nearest: np.ndarray


def farthest_first(points: np.ndarray, count: int) -> Centres:
    """Choose points greedily, each the farthest from those before it: a 2-approximation of the k-centre problem.

    Gonzalez: Clustering to Minimize the Maximum Intercluster Distance, 1985; Sener, Savarese: Active Learning for
    Convolutional Neural Networks: A Core-Set Approach, ICLR 2018, algorithm 1. The first is the point nearest to the
    mean of all; of points equally far the first in order is taken.

    A point is compared with a new centre only where the triangle inequality lets that be nearer than the point's
    nearest so far (Elkan: Using the Triangle Inequality to Accelerate k-Means, ICML 2003). Beside the points it holds
    some 40 bytes for each.

    Args:
        points: (n, D) floating point, finite; may lie in a file.
        count: how many to choose; all where there are no more.
    """
    total = len(points)
    count = min(count, total)
    chosen = np.zeros(count, np.int64)
    distance = np.zeros(count)
    if not count:
        return Centres(chosen, distance, np.zeros(total))
    everything = np.arange(total)
    chosen[0] = np.argmin(_distances(points, everything, _mean(points)))
    to_nearest = _distances(points, everything, points[chosen[0]])
    distance[0] = to_nearest.max()
    nearest = np.zeros(total, np.int32)
    free = np.ones(total, bool)
    free[chosen[0]] = False
    for number in range(1, count):
        farthest = int(np.argmax(np.where(free, to_nearest, -1)))
        chosen[number], distance[number] = farthest, to_nearest[farthest]
        free[farthest] = False
        centre = points[farthest]
        from_centres = _distances(points, chosen[:number], centre)
        within_reach = np.flatnonzero(from_centres[nearest] * (1 - _SLACK) < 2 * to_nearest)
        found = _distances(points, within_reach, centre)
        nearer = found < to_nearest[within_reach]
        to_nearest[within_reach[nearer]] = found[nearer]
        nearest[within_reach[nearer]] = number
    return Centres(chosen, distance, to_nearest)


def _mean(points: np.ndarray) -> np.ndarray:
    total = np.zeros(points.shape[1])
    step = max(1, _BLOCK // max(1, points.shape[1]))
    for begin in range(0, len(points), step):
        total += points[begin : begin + step].sum(axis=0, dtype=np.float64)
    return total / len(points)


def _distances(points: np.ndarray, rows: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Euclidean distances, float64, of the points at `rows` to a centre (D,)."""
    result = np.empty(len(rows))
    centre = np.asarray(centre, dtype=np.float64)
    step = max(1, _BLOCK // max(1, len(centre)))
    for begin in range(0, len(rows), step):
        # Differences first: in the expanded square the digits of near points would cancel.
        difference = points[rows[begin : begin + step]] - centre
        result[begin : begin + step] = np.einsum("nd,nd->n", difference, difference)
    return np.sqrt(result)
