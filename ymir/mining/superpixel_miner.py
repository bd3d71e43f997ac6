"""What the algorithms have in common that choose superpixels."""

from typing import Any, Dict, Optional, Tuple

import numpy as np
import torch

from ymir.mining.miner import ArrayFactory, Miner
from ymir.mining.pixel_uncertainty import as_bands, pixel_uncertainty
from ymir.mining.pixels import Logits
from ymir.mining.pool_steps import ClassCounts, FinalScores, count_classes, select_best_regions
from ymir.mining.region_statistics import Features, Labels, region_statistics
from ymir.mining.regions import Pool, RegionScores, Selection
from ymir.mining.superpixels import check_backend, compute_superpixels
from ymir.mining.torch_slic import torch_superpixels


class SuperpixelMiner(Miner):
    """Superpixels scored by the mean uncertainty of their pixels, of which `select_best_regions` chooses.

    A superpixel's class is the one predicted for most of its pixels, the lowest id on ties.

    Args:
        superpixel_algorithm: a name in SUPERPIXELS.
        superpixel_backend: "opencv" or "torch".
        max_superpixel_per_image: most superpixels in an image.
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_kept_mining_image: most images to label.
        topk_superpixel_score: superpixels to label in an image at least.

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
        max_kept_mining_image: int,
        topk_superpixel_score: int,
    ) -> None:
        check_backend(superpixel_algorithm, superpixel_backend)
        self.superpixel_backend = superpixel_backend
        self._algorithm = superpixel_algorithm
        self._max_superpixels = max_superpixel_per_image
        self._uncertainty = pixel_uncertainty(uncertainty_method, disagreement)
        self._max_kept = max_kept_mining_image
        self._topk = topk_superpixel_score

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

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        counts = count_classes(pool)
        final_scores, facts = self._final_scores(counts)
        return select_best_regions(
            pool,
            final_scores,
            regions_in_pool=int(counts.regions.sum()),
            topk=self._topk,
            max_kept=self._max_kept,
            facts=facts,
        )

    def _final_scores(self, counts: ClassCounts) -> Tuple[FinalScores, Dict[str, Any]]:
        """What the regions' scores become in the pool whose classes are counted, and the facts that say so; here they
        stay as they are."""
        return (lambda image_position, regions: regions.score), {}

    def region_mask(
        self, regions: RegionScores, chosen: np.ndarray, superpixels: Optional[Labels] = None
    ) -> np.ndarray:
        labels = torch.as_tensor(superpixels).cpu().numpy()
        color = np.zeros(int(labels.max()) + 1, np.uint8)
        color[chosen] = 255
        return color[labels]
