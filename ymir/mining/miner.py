"""What a mining algorithm offers."""

from typing import Optional, Sequence

import numpy as np
import torch

from mmseg.registry import Registry
from ymir.mining.regions import RegionScores, Selection

# Subclasses of Miner by the names that the hyper-parameter mining_algorithm takes; built with those of the arguments of
# build_miner that their constructors name.
MINERS = Registry("mining_algorithm")


class Miner:
    """A mining algorithm: scores the regions of one image at a time, then selects over the whole pool."""

    # Whether `score` and `region_mask` want the image's superpixels.
    needs_superpixels = False

    def superpixels(self, image: np.ndarray) -> Optional[np.ndarray]:
        """The superpixels that the algorithm wants of a BGR image (H, W, 3), uint8: (H, W) int32 labels, or None."""
        return None

    def score(self, logits: torch.Tensor, superpixels: Optional[np.ndarray] = None) -> RegionScores:
        """Score the regions of one image.

        Args:
            logits: (C, H, W) at the image's own size, on any device, in any floating-point type; log-probabilities
                are logits too. A sigmoid output of one channel comes as the log-probabilities of its two classes.
            superpixels: (H, W) int32 labels where `needs_superpixels`.

        Raises:
            PackageError: the logits are NaN or infinite.
        """
        raise NotImplementedError

    def select(self, pool: Sequence[RegionScores]) -> Selection:
        """Image scores and the regions to label, from the region scores of all candidates in the order of the index.
        Each element of the pool is asked for a few times, one after the other, so it may be read on demand."""
        raise NotImplementedError

    def region_mask(
        self, scores: RegionScores, chosen: np.ndarray, superpixels: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """(H, W) uint8, 255 on the `chosen` regions (ids as in `scores.region`), else 0."""
        raise NotImplementedError
