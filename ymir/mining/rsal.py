"""RSAL: superpixels that are uncertain, and of rare classes."""

import numpy as np

from ymir.mining.miner import MINERS, ArrayFactory
from ymir.mining.pool_steps import class_weights_fact, count_classes, select_best_regions
from ymir.mining.regions import Pool, RegionScores, Selection
from ymir.mining.superpixel_miner import SuperpixelMiner


@MINERS.register_module("RSAL")
class RSAL(SuperpixelMiner):
    """RSAL (Cai, Xu, Liew, Foo: Revisiting Superpixels for Active Learning in Semantic Segmentation With Realistic
    Annotation Costs, CVPR 2021), semi-image-level.

    A superpixel's score is the mean of its pixels' uncertainty. With class balance it is multiplied by exp(-n_c / n),
    n_c of the pool's n superpixels being of its class c. An image's best superpixels are chosen, and all that reach a
    percentile of the pool's scores; the image's score is the sum of theirs.

    Args:
        superpixel_algorithm: a name in SUPERPIXELS.
        superpixel_backend: "opencv" or "torch".
        uncertainty_method: a name in UNCERTAINTIES.
        disagreement: "none", or how the predictions arise whose disagreement is to be measured.
        max_superpixel_per_image: most superpixels in an image.
        max_kept_mining_image: most images to label.
        topk_superpixel_score: superpixels to label in an image at least.
        class_balance: whether to prefer rare classes.

    Raises:
        ConfigError: there is no superpixel algorithm or uncertainty method of that name, or the backend cannot do the
            algorithm.
    """

    def __init__(
        self,
        *,
        superpixel_algorithm: str,
        superpixel_backend: str,
        uncertainty_method: str,
        disagreement: str,
        max_superpixel_per_image: int,
        max_kept_mining_image: int,
        topk_superpixel_score: int,
        class_balance: bool,
    ) -> None:
        super().__init__(
            superpixel_algorithm=superpixel_algorithm,
            superpixel_backend=superpixel_backend,
            max_superpixel_per_image=max_superpixel_per_image,
            uncertainty_method=uncertainty_method,
            disagreement=disagreement,
        )
        self._max_kept = max_kept_mining_image
        self._topk = topk_superpixel_score
        self._class_balance = class_balance

    def select(self, pool: Pool, *, array: ArrayFactory = np.empty) -> Selection:
        counts = count_classes(pool)
        total = int(counts.regions.sum())
        weights = np.ones(len(counts.regions))
        facts = {}
        if self._class_balance and total:
            weights = np.exp(-counts.regions / total)
            facts["class weights"] = class_weights_fact(weights, counts)

        def weighed(image_position: int, regions: RegionScores) -> np.ndarray:
            return regions.score * weights[regions.class_id]

        return select_best_regions(
            pool, weighed, regions_in_pool=total, topk=self._topk, max_kept=self._max_kept, facts=facts
        )
