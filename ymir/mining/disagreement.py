"""How far several predictions of one image disagree about each pixel."""

from typing import Callable, List

import torch

from mmseg.engine.logit_bands import LogitBands
from mmseg.engine.row_sources import mean_logits
from mmseg.engine.running_max import class_dtype
from ymir.mining.pixels import Logits, PixelScores

Uncertainty = Callable[[Logits], PixelScores]


def disagreement(uncertainty: Uncertainty) -> Uncertainty:
    """An uncertainty of its own: that of the mean prediction, less the mean of that of the single predictions.

    What is left is the part on which the predictions differ; where each is unsure by itself and all say the same, it
    is 0. For the entropy this is the mutual information of prediction and model, BALD: Houlsby, Huszar, Ghahramani,
    Lengyel: Bayesian active learning for classification and preference learning, 2011; by dropout, Gal, Islam,
    Ghahramani: Deep Bayesian active learning with image data, ICML 2017.

    Args:
        uncertainty: a function from logits (C, H, W) to PixelScores.

    Returns:
        A function from LogitBands with several members to PixelScores, whose uncertainty is at least 0, and NaN where
        that of a member is; the class map is the mean prediction's. With one member, and so for a tensor, it is 0.
    """

    def score(logits: Logits) -> PixelScores:
        if not isinstance(logits, LogitBands):
            logits = LogitBands.of(logits)
        members = logits.members()
        if len(members) == 1:
            pixels = uncertainty(logits)
            # 0, and NaN where the uncertainty is.
            return PixelScores(pixels.uncertainty - pixels.uncertainty, pixels.class_map)
        result = torch.empty(logits.size, dtype=logits.dtype, device=logits.device)
        class_map = torch.empty(logits.size, dtype=class_dtype(logits.channels), device=logits.device)
        # All members at one band together, so that each band is made once.
        for bands in zip(*(member.bands() for member in members)):
            single: List[torch.Tensor] = [band for _, band in bands]
            of_mean = uncertainty(mean_logits(single))
            mean_of_single = sum(uncertainty(band).uncertainty for band in single) / len(single)
            rows = slice(bands[0][0], bands[0][0] + single[0].shape[1])
            result[rows] = (of_mean.uncertainty - mean_of_single).clamp_(min=0)
            class_map[rows] = of_mean.class_map
        logits.remember_class_map(class_map)
        return PixelScores(result, class_map)

    return score
