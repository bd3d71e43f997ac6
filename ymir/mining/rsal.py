"""RSAL: superpixels that are uncertain, and of rare classes."""

from typing import Optional, Sequence, Tuple

import numpy as np
import torch

from ymir.errors import PackageError
from ymir.mining.miner import MINERS, Miner
from ymir.mining.regions import RegionScores, Selection, rank_images
from ymir.mining.superpixels import SUPERPIXELS, compute_superpixels
from ymir.mining.uncertainty import UNCERTAINTIES

# However many images may be labelled, only the best fifth of the pool's regions passes the threshold.
_LEAST_PERCENTILE = 0.8


@MINERS.register_module("RSAL")
class RSAL(Miner):
    """RSAL (Cai, Xu, Liew, Foo: Revisiting Superpixels for Active Learning in Semantic Segmentation With Realistic
    Annotation Costs, CVPR 2021), semi-image-level.

    A superpixel's score is the mean of its pixels' uncertainty; its class is the one predicted for most of its
    pixels, the lowest id on ties. With class balance the score is multiplied by exp(-n_c / n), n_c of the pool's n
    superpixels being of its class c. An image's best superpixels are chosen, and all that reach a percentile of the
    pool's scores; the image's score is the sum of theirs.

    Args:
        superpixel_algorithm: a name in SUPERPIXELS.
        uncertainty_method: a name in UNCERTAINTIES.
        max_superpixel_per_image: most superpixels in an image.
        max_kept_mining_image: most images to label.
        topk_superpixel_score: superpixels to label in an image at least.
        class_balance: whether to prefer rare classes.

    Raises:
        ConfigError: there is no superpixel algorithm or uncertainty method of that name.
    """

    needs_superpixels = True

    def __init__(
        self,
        *,
        superpixel_algorithm: str,
        uncertainty_method: str,
        max_superpixel_per_image: int,
        max_kept_mining_image: int,
        topk_superpixel_score: int,
        class_balance: bool,
    ) -> None:
        SUPERPIXELS.get(superpixel_algorithm)
        self._superpixel_algorithm = superpixel_algorithm
        self._uncertainty = UNCERTAINTIES.get(uncertainty_method)
        self._max_superpixels = max_superpixel_per_image
        self._max_kept = max_kept_mining_image
        self._topk = topk_superpixel_score
        self._class_balance = class_balance

    def superpixels(self, image: np.ndarray) -> np.ndarray:
        return compute_superpixels(image, self._superpixel_algorithm, self._max_superpixels)

    def score(self, logits: torch.Tensor, superpixels: Optional[np.ndarray] = None) -> RegionScores:
        labels = torch.as_tensor(superpixels, device=logits.device)
        if labels.shape != logits.shape[1:]:
            raise ValueError(f"superpixels of {tuple(labels.shape)} pixels do not fit logits {tuple(logits.shape)}")
        pixels = self._uncertainty(logits)
        num_classes = len(logits)
        num_labels = int(labels.max()) + 1
        of_class = _bincount(labels * num_classes + pixels.class_map, num_labels * num_classes)
        of_class = of_class.reshape(num_labels, num_classes)
        pixel_count = of_class.sum(1)
        region = np.flatnonzero(pixel_count)
        total = _bincount(labels, num_labels, weights=pixels.uncertainty)
        score = _without_rounding_errors(total[region] / pixel_count[region])
        if not np.isfinite(score).all():
            raise PackageError("the network's output is NaN or infinite, so its uncertainty cannot be measured")
        return RegionScores(
            score=score,
            class_id=of_class[region].argmax(1).astype(np.int32),
            pixel_count=pixel_count[region].astype(np.int32),
            region=region.astype(np.int32),
            size=tuple(logits.shape[1:]),
        )

    def select(self, pool: Sequence[RegionScores]) -> Selection:
        scores, ends = self._pool_scores(pool)
        threshold = self._threshold(scores)
        image_scores, chosen = [], []
        for image, regions in enumerate(pool):
            score = scores[ends[image] : ends[image + 1]]
            # Stable, so that of equal scores the region with the lowest label comes first.
            best_first = np.argsort(-score, kind="stable")
            count = max(self._topk, np.count_nonzero(score >= threshold))
            best_first = best_first[:count]
            image_scores.append(score[best_first].sum())
            chosen.append(regions.region[best_first])
        return rank_images(image_scores, chosen, self._max_kept)

    def _pool_scores(self, pool: Sequence[RegionScores]) -> Tuple[np.ndarray, np.ndarray]:
        """The scores of all regions of the pool, and where in them each image's begin, with the end of the last."""
        parts, classes, ends = [np.zeros(0)], [np.zeros(0, np.int32)], [0]
        for regions in pool:
            parts.append(regions.score)
            classes.append(regions.class_id)
            ends.append(ends[-1] + len(regions))
        scores = np.concatenate(parts)
        if self._class_balance and len(scores):
            class_id = np.concatenate(classes)
            weights = np.exp(-np.bincount(class_id) / len(scores))
            scores = scores * weights[class_id]
        return scores, np.asarray(ends)

    def _threshold(self, scores: np.ndarray) -> float:
        if not len(scores):
            return np.inf
        percent = round(100 * max(_LEAST_PERCENTILE, 1 - self._max_kept * self._topk / len(scores)))
        return np.percentile(scores, percent)

    def region_mask(
        self, scores: RegionScores, chosen: np.ndarray, superpixels: Optional[np.ndarray] = None
    ) -> np.ndarray:
        labels = np.asarray(superpixels)
        color = np.zeros(int(labels.max()) + 1, np.uint8)
        color[chosen] = 255
        return color[labels]


def _without_rounding_errors(values: np.ndarray) -> np.ndarray:
    """Values rounded to 40 binary digits, so that equal means of other pixels, or of the same ones summed in another
    order, are equal numbers: they tie, and pass the threshold together."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, 40)), exponent - 40)


def _bincount(index: torch.Tensor, length: int, weights: Optional[torch.Tensor] = None) -> np.ndarray:
    """Counts, or float64 sums of weights, for each value 0 … length - 1 of an integer tensor."""
    index = index.reshape(-1)
    weights = None if weights is None else weights.reshape(-1)
    if index.device.type == "cpu":
        # numpy does this several times as fast as torch.
        return np.bincount(index.numpy(), None if weights is None else weights.numpy(), minlength=length)
    weights = None if weights is None else weights.double()
    return torch.bincount(index, weights, minlength=length).cpu().numpy()
