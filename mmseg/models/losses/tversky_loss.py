"""The Tversky loss (Salehi et al., arXiv 1706.05721): a Dice loss that weighs misses and false alarms on their own."""

from typing import Any, Optional, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import LOSSES
from mmseg.models.losses.class_weight import read_class_weight
from mmseg.models.losses.overlap import mean_over_classes, probabilities_and_targets


@LOSSES.register_module()
class TverskyLoss(nn.Module):
    """1 - (TP + smooth) / (TP + alpha FP + beta FN + smooth), the mean over images and classes.

    With softmax probabilities p and one-hot labels t of a class in an image, over the pixels that are not ignored, TP
    is sum(p t), FP sum(p (1 - t)) and FN sum((1 - p) t).

    Args:
        smooth: keeps the fraction defined where a class is absent.
        class_weight: one factor for each class.
        loss_weight: factor of the whole.
        ignore_index: label of the pixels that do not count; a class of that number is left out.
        alpha, beta: weights of false alarms and of misses; their sum is 1.
        loss_name: the name in the log; it counts for training when "loss" is part of it.
    """

    def __init__(
        self,
        *,
        smooth: float = 1,
        class_weight: Optional[Sequence[float]] = None,
        loss_weight: float = 1.0,
        ignore_index: int = 255,
        alpha: float = 0.3,
        beta: float = 0.7,
        loss_name: str = "loss_tversky",
    ) -> None:
        super().__init__()
        if abs(alpha + beta - 1) > 1e-9:
            raise ConfigError(f"TverskyLoss: the sum of alpha and beta is 1, not {alpha} + {beta}")
        self.smooth = smooth
        self.class_weight = read_class_weight("TverskyLoss", class_weight)
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.alpha = alpha
        self.beta = beta
        self.loss_name = loss_name

    def forward(self, logits: torch.Tensor, label: torch.Tensor, **_: Any) -> torch.Tensor:
        """Loss of logits (B, C, H, W) against label (B, H, W). Factors of pixels have no meaning here and are unused.

        Raises:
            ConfigError: one channel, or `class_weight` does not have one entry for each.
        """
        p, t, valid = probabilities_and_targets("TverskyLoss", logits, label, self.ignore_index)
        p, t = p * valid, t * valid
        hit = (p * t).sum(dim=2)
        false_alarm = p.sum(dim=2) - hit
        miss = t.sum(dim=2) - hit
        terms = 1 - (hit + self.smooth) / (hit + self.alpha * false_alarm + self.beta * miss + self.smooth)
        return self.loss_weight * mean_over_classes("TverskyLoss", terms, logits, self.class_weight, self.ignore_index)
