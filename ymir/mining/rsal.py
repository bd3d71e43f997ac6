"""RSAL: superpixels that are uncertain, and of rare classes."""

from typing import Any, Dict, Tuple

import numpy as np

from ymir.mining.miner import MINERS
from ymir.mining.pool_steps import ClassCounts, FinalScores, class_weights_fact, weighed_by_class
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
            max_kept_mining_image=max_kept_mining_image,
            topk_superpixel_score=topk_superpixel_score,
        )
        self._class_balance = class_balance

    def _final_scores(self, counts: ClassCounts) -> Tuple[FinalScores, Dict[str, Any]]:
        total = int(counts.regions.sum())
        if not (self._class_balance and total):
            return super()._final_scores(counts)
        weights = np.exp(-counts.regions / total)
        return weighed_by_class(weights), {"class weights": class_weights_fact(weights, counts)}
