"""RIPU: windows that are uncertain and hold several classes."""

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch

from mmseg.engine.logit_bands import LogitBands
from ymir.mining.image_miner import as_scored
from ymir.mining.miner import MINERS, ArrayFactory, Miner
from ymir.mining.pixel_uncertainty import as_bands
from ymir.mining.pixels import Logits, entropy
from ymir.mining.region_statistics import Features, Labels, refuse_broken
from ymir.mining.regions import Pool, RegionScores, Selection, rank_images
from ymir.mining.share_entropy import share_entropy
from ymir.mining.windows import is_mixed, window_size, window_sum

# How much closer than this, relatively, two scores count as equal: the rounding errors of equal scores stay below it.
_TIE = {torch.float64: 1e-12, torch.float32: 1e-6}


@MINERS.register_module("RIPU")
class RIPU(Miner):
    """RIPU (Xie, Yuan, Li, Liu, Cheng: Towards Fewer Annotations: Active Learning via Region Impurity and Prediction
    Uncertainty for Domain Adaptive Semantic Segmentation, CVPR 2022), with image scores.

    The region of a pixel is the square window around it, cut at the image's border. Its score is the mean of the
    pixels' entropy times the entropy of the shares of the predicted classes, both over log C (0 where C is 1). The
    best windows that do not overlap are chosen one by one, the first in row-major order on ties; the image's score is
    the sum of theirs.

    Args:
        max_kept_mining_image: most images to label.
        topk_superpixel_score: windows to choose in an image; fewer where no more have room.
        ripu_region_radius: radius of a window in pixels.
    """

    covers_images = False

    def __init__(self, *, max_kept_mining_image: int, topk_superpixel_score: int, ripu_region_radius: int) -> None:
        self._max_kept = max_kept_mining_image
        self._topk = topk_superpixel_score
        self._radius = ripu_region_radius

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """The chosen windows of one image, in the order of choice. Superpixels and features are not looked at."""
        bands = as_bands(logits)
        height, width = bands.size
        # A window of this radius is the whole image wherever it lies, as are all larger ones.
        radius = min(self._radius, max(height, width) - 1)
        windows, class_map = self._score_windows(bands, radius)
        centre, score = choose_windows(windows, (height, width), radius, self._topk)
        y, x = np.divmod(centre, width)
        class_id = class_map.reshape(-1)[torch.as_tensor(centre, device=class_map.device)]
        return RegionScores(
            score=score,
            class_id=class_id.cpu().numpy().astype(np.int32),
            pixel_count=(_extent(y, height, radius) * _extent(x, width, radius)).astype(np.int32),
            region=centre.astype(np.int32),
            size=(height, width),
        )

    def _score_windows(self, bands: LogitBands, radius: int) -> Tuple["Windows", torch.Tensor]:
        """The windows from which to choose, and the class map (H, W)."""
        height, width = bands.size
        uncertainty, class_map = entropy(bands)
        # An infinite or NaN pixel makes the sum so.
        if not math.isfinite(float(uncertainty.sum())):
            refuse_broken(np.array([np.nan]))
        # A window with one class scores exactly 0. Most windows are such, and only the others are looked at.
        mixed = is_mixed(class_map, radius).reshape(-1).nonzero().squeeze(1)
        size = window_size(height, width, radius, bands.device).reshape(-1).index_select(0, mixed)
        mean_entropy = window_sum(uncertainty, radius).reshape(-1).index_select(0, mixed).double() / size
        scores = mean_entropy * share_entropy(class_map, bands.channels, radius, at=mixed, size=size)
        # There is a mixed window only where there are two classes, so the logarithm is not 0.
        scores /= math.log(max(bands.channels, 2)) ** 2
        tie = _TIE[uncertainty.dtype]
        candidates = _best(scores, self._topk * (4 * radius + 1) ** 2, tie)
        return Windows(mixed[candidates].cpu().numpy(), scores[candidates].cpu().numpy(), tie), class_map

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        image_scores = np.fromiter((regions.score.sum() for regions in pool), np.float64, len(pool))
        return rank_images(image_scores, as_scored, max_kept=self._max_kept)

    def region_mask(
        self, regions: RegionScores, chosen: np.ndarray, superpixels: Optional[Labels] = None
    ) -> np.ndarray:
        height, width = regions.size
        mask = np.zeros((height, width), np.uint8)
        for centre in chosen:
            _around(mask, int(centre), self._radius)[...] = 255
        return mask


class Windows(NamedTuple):
    """Windows that may be chosen: row-major indices of their centres, rising, their scores, float64, and the relative
    difference below which two scores count as equal."""

    centre: np.ndarray
    score: np.ndarray
    tie: float


def choose_windows(windows: Windows, size: Tuple[int, int], radius: int, count: int) -> Tuple[np.ndarray, np.ndarray]:
    """Choose windows one by one: the best that overlaps none before it, the first in row-major order on ties.

    Args:
        windows: the windows with a score above 0; every other pixel of the image has a window with score 0.
        size: (height, width) of the image.
        radius: of the windows. Two overlap where their centres differ by at most twice that in y and in x.
        count: how many to choose.

    Returns:
        Centres, int64, and scores, in the order of choice; fewer than `count` where no more have room.
    """
    height, width = size
    y, x = np.divmod(windows.centre, width)
    left = windows.score.copy()
    chosen: List[int] = []
    scores: List[float] = []
    while len(chosen) < count and len(left) and left.max() > 0:
        best = int(np.argmax(left >= left.max() * (1 - windows.tie)))
        chosen.append(int(windows.centre[best]))
        scores.append(float(windows.score[best]))
        begin, end = np.searchsorted(y, [y[best] - 2 * radius, y[best] + 2 * radius + 1])
        left[begin:end][np.abs(x[begin:end] - x[best]) <= 2 * radius] = 0
    if len(chosen) < count:
        for centre in _free_windows(chosen, size, radius, count - len(chosen)):
            chosen.append(centre)
            scores.append(0.0)
    return np.array(chosen, dtype=np.int64), np.array(scores, dtype=np.float64)


def _free_windows(chosen: Sequence[int], size: Tuple[int, int], radius: int, count: int) -> List[int]:
    """The first `count` pixels in row-major order whose windows overlap neither the chosen ones nor each other."""
    blocked = np.zeros(size, dtype=bool)
    for centre in chosen:
        _around(blocked, centre, 2 * radius)[...] = True
    found: List[int] = []
    flat = blocked.reshape(-1)
    centre = 0
    while len(found) < count:
        centre += int(np.argmin(flat[centre:]))
        if flat[centre]:
            break
        found.append(centre)
        _around(blocked, centre, 2 * radius)[...] = True
    return found


def _best(scores: torch.Tensor, count: int, tie: float) -> torch.Tensor:
    """Indices, rising, of so many of the best scores above 0 that choosing, which lets each chosen window block
    others, cannot run out of the best ones when all together block at most `count`."""
    candidates = scores > 0
    if len(scores) > count:
        last = torch.topk(scores, count).values[-1]
        candidates &= scores >= last * (1 - 2 * tie)
        # Of windows that tie with the last, the first in row-major order are enough.
        tied = candidates & (scores <= last * (1 + 2 * tie))
        candidates &= ~tied | (tied.cumsum(0) <= count)
    return candidates.nonzero().squeeze(1)


def _extent(position: np.ndarray, length: int, radius: int) -> np.ndarray:
    return np.minimum(position + radius, length - 1) - np.maximum(position - radius, 0) + 1


def _around(image: np.ndarray, centre: int, radius: int) -> np.ndarray:
    """The part of an (H, W) array within `radius` of a row-major index."""
    y, x = divmod(centre, image.shape[1])
    return image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
