"""What a mining algorithm offers."""

from typing import Callable, Optional, Tuple

import numpy as np
import torch

from mmseg.registry import Registry
from ymir.mining.pixels import Logits
from ymir.mining.region_statistics import Features, Labels
from ymir.mining.regions import Pool, RegionScores, Selection

# Subclasses of Miner by the names that the hyper-parameter mining_algorithm takes; built with those of the arguments of
# build_miner that their constructors name.
MINERS = Registry("mining_algorithm")
# Those that stand for some of these names where mining_level is region.
REGION_MINERS = Registry("mining_algorithm at the region level")

# From a shape and a type to an array of it, whatever it holds: where a large one is to lie, in memory or in a file.
ArrayFactory = Callable[[Tuple[int, ...], type], np.ndarray]


class Miner:
    """A mining algorithm: scores the regions of one image at a time, then selects over the whole pool."""

    # Whether `score` and `region_mask` want the image's superpixels.
    needs_superpixels = False
    # Who computes them: "opencv", by `superpixels` from each decoded image, or "torch", by `batch_superpixels`.
    superpixel_backend: Optional[str] = None
    # Whether `score` wants the network's features pooled over the image.
    needs_features = False
    # Whether the regions that `score` gives cover the image, and do not only show the best places in it.
    covers_images = True

    def superpixels(self, image: np.ndarray) -> Optional[np.ndarray]:
        """The superpixels that the algorithm wants of a BGR image (H, W, 3), uint8: (H, W) int32 labels, or None where
        it wants none, or another backend computes them."""
        return None

    def batch_superpixels(self, images: torch.Tensor) -> torch.Tensor:
        """The superpixels of BGR images (B, H, W, 3), uint8, where the backend is "torch": (B, H, W) int32 labels on
        the images' device."""
        raise NotImplementedError

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """Score the regions of one image.

        Args:
            logits: (C, H, W) at the image's own size, on any device, in any floating-point type, or what makes them
                band by band; log-probabilities are logits too.
            superpixels: (H, W) int32 labels where `needs_superpixels`.
            features: (D,) where `needs_features`.

        Raises:
            PackageError: the logits or features are NaN or infinite.
            ValueError: superpixels or features are needed and missing, or of another size than the logits.
        """
        raise NotImplementedError

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        """Image scores and the regions to label, from the region scores of all candidates in the order of the index.

        Of the pool only some bytes for each image are held, apart from arrays that `array` makes.
        """
        raise NotImplementedError

    def region_mask(
        self, regions: RegionScores, chosen: np.ndarray, superpixels: Optional[Labels] = None
    ) -> np.ndarray:
        """(H, W) uint8, 255 on the `chosen` regions (ids as in `regions.region`), else 0."""
        raise NotImplementedError
