"""Random sampling: what an algorithm must be better than."""

from typing import Any, Dict, Optional, Tuple

import numpy as np

from ymir.mining.image_miner import ImageMiner, with_image_score
from ymir.mining.miner import MINERS, REGION_MINERS, ArrayFactory
from ymir.mining.pixel_uncertainty import as_bands
from ymir.mining.pixels import Logits
from ymir.mining.pool_steps import ClassCounts, FinalScores
from ymir.mining.region_statistics import Features, Labels, whole_image
from ymir.mining.regions import Pool, RegionScores, Selection, rank_images
from ymir.mining.superpixel_miner import SuperpixelMiner


@MINERS.register_module("random")
class RandomImages(ImageMiner):
    """Random sampling (the baseline of Settles: Active Learning Literature Survey, 2009) of images. The score is
    uniform from 0 to 1 and depends on nothing but the seed and the image's position in the pool.

    Args:
        mining_seed: of the random numbers.
        max_kept_mining_image: most images to label.
    """

    def __init__(self, *, mining_seed: int, max_kept_mining_image: int) -> None:
        self._seed = mining_seed
        self._max_kept = max_kept_mining_image

    def score(
        self, logits: Logits, superpixels: Optional[Labels] = None, features: Optional[Features] = None
    ) -> RegionScores:
        """The whole image as one region with score 0, for the pool alone knows its position."""
        bands = as_bands(logits)
        return whole_image(bands.class_map(), bands.channels, np.zeros(1))

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        image_scores = np.random.default_rng(self._seed).random(len(pool))

        return rank_images(
            image_scores, with_image_score(image_scores), max_kept=self._max_kept, facts={"seed": self._seed}
        )


@REGION_MINERS.register_module("random")
class RandomRegions(SuperpixelMiner):
    """Random sampling of superpixels, a baseline of Cai et al. (CVPR 2021): each has a score that is uniform from 0 to
    1, and the choice is RSAL's. The scores depend on nothing but the seed, the image's position in the pool and its
    number of superpixels.

    Args:
        superpixel_algorithm: a name in SUPERPIXELS.
        superpixel_backend: "opencv" or "torch".
        max_superpixel_per_image: most superpixels in an image.
        max_kept_mining_image: most images to label.
        topk_superpixel_score: superpixels to label in an image at least.
        mining_seed: of the random numbers.

    Raises:
        ConfigError: as of SuperpixelMiner.
    """

    def __init__(
        self,
        *,
        superpixel_algorithm: str,
        superpixel_backend: str,
        max_superpixel_per_image: int,
        max_kept_mining_image: int,
        topk_superpixel_score: int,
        mining_seed: int,
    ) -> None:
        # A superpixel's class and size are wanted too, which come along with an uncertainty.
        super().__init__(
            superpixel_algorithm=superpixel_algorithm,
            superpixel_backend=superpixel_backend,
            max_superpixel_per_image=max_superpixel_per_image,
            uncertainty_method="BvSB",
            disagreement="none",
            max_kept_mining_image=max_kept_mining_image,
            topk_superpixel_score=topk_superpixel_score,
        )
        self._seed = mining_seed

    def _final_scores(self, counts: ClassCounts) -> Tuple[FinalScores, Dict[str, Any]]:
        def drawn(image_position: int, regions: RegionScores) -> np.ndarray:
            return np.random.default_rng([self._seed, image_position]).random(len(regions))

        return drawn, {"seed": self._seed}
