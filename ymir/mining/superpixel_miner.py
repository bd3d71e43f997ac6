"""What the algorithms have in common that choose superpixels."""

from typing import Optional

import numpy as np
import torch

from ymir.mining.miner import Miner
from ymir.mining.pixel_uncertainty import as_bands, pixel_uncertainty
from ymir.mining.pixels import Logits
from ymir.mining.region_statistics import Features, Labels, region_statistics
from ymir.mining.regions import RegionScores
from ymir.mining.superpixels import check_backend, compute_superpixels
from ymir.mining.torch_slic import torch_superpixels


class SuperpixelMiner(Miner):
    """Superpixels scored by the mean uncertainty of their pixels.

    A superpixel's class is the one predicted for most of its pixels, the lowest id on ties.

    Args:
        superpixel_algorithm: a name in SUPERPIXELS.
        superpixel_backend: "opencv" or "torch".
        max_superpixel_per_image: most superpixels in an image.
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.

    Raises:
        ConfigError: there is no superpixel algorithm or uncertainty method of that name, or the backend cannot do the
            algorithm.
    """

    needs_superpixels = True

    def __init__(
        self,
        *,
        superpixel_algorithm: str,
        superpixel_backend: str,
        max_superpixel_per_image: int,
        uncertainty_method: str,
        disagreement: str,
    ) -> None:
        check_backend(superpixel_algorithm, superpixel_backend)
        self.superpixel_backend = superpixel_backend
        self._algorithm = superpixel_algorithm
        self._max_superpixels = max_superpixel_per_image
        self._uncertainty = pixel_uncertainty(uncertainty_method, disagreement)

    def superpixels(self, image: np.ndarray) -> Optional[np.ndarray]:
        if self.superpixel_backend != "opencv":
            return None
        return compute_superpixels(image, self._algorithm, self._max_superpixels)

    def batch_superpixels(self, images: torch.Tensor) -> torch.Tensor:
        return torch_superpixels(images, self._algorithm, self._max_superpixels)

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        if superpixels is None:
            raise ValueError("superpixels are needed to score them")
        bands = as_bands(logits)
        return region_statistics(self._uncertainty(bands), superpixels, bands.channels)

    def region_mask(
        self, regions: RegionScores, chosen: np.ndarray, superpixels: Optional[Labels] = None
    ) -> np.ndarray:
        labels = torch.as_tensor(superpixels).cpu().numpy()
        color = np.zeros(int(labels.max()) + 1, np.uint8)
        color[chosen] = 255
        return color[labels]
