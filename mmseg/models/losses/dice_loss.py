"""The Dice loss of V-Net (Milletari et al., arXiv 1606.04797), over all classes."""

from typing import Any, Optional, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import LOSSES
from mmseg.models.losses.class_weight import read_class_weight
from mmseg.models.losses.overlap import mean_over_classes, probabilities_and_targets
from mmseg.models.losses.reduction import reduce_loss


@LOSSES.register_module()
class DiceLoss(nn.Module):
    """1 - (2 sum(p t) + smooth) / (sum(p^exponent) + sum(t) + smooth), the mean over images and classes.

    p are the softmax probabilities and t the one-hot labels of a class in an image. As in mmsegmentation 0.27, pixels
    to ignore are left out of the numerator only: in the denominator they are predictions like others and labels of the
    last class.

    Args:
        smooth: keeps the fraction defined where a class is absent.
        exponent: of the probabilities in the denominator.
        reduction: 'none', 'mean' or 'sum'; the loss is one number already, so that only `avg_factor` makes a
            difference.
        class_weight: one factor for each class.
        loss_weight: factor of the whole.
        ignore_index: label of the pixels that do not count; a class of that number is left out.
        loss_name: the name in the log; it counts for training when "loss" is part of it.
    """

    def __init__(
        self,
        *,
        smooth: float = 1,
        exponent: float = 2,
        reduction: str = "mean",
        class_weight: Optional[Sequence[float]] = None,
        loss_weight: float = 1.0,
        ignore_index: int = 255,
        loss_name: str = "loss_dice",
    ) -> None:
        super().__init__()
        if reduction not in ("none", "mean", "sum"):
            raise ConfigError(f"DiceLoss: reduction is 'none', 'mean' or 'sum', not {reduction!r}")
        self.smooth = smooth
        self.exponent = exponent
        self.reduction = reduction
        self.class_weight = read_class_weight("DiceLoss", class_weight)
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.loss_name = loss_name

    def forward(
        self,
        logits: torch.Tensor,
        label: torch.Tensor,
        avg_factor: Optional[float] = None,
        reduction_override: Optional[str] = None,
        **_: Any,
    ) -> torch.Tensor:
        """Loss of logits (B, C, H, W) against label (B, H, W). Factors of pixels have no meaning here and are unused.

        Raises:
            ConfigError: one channel, or `class_weight` does not have one entry for each.
        """
        p, t, valid = probabilities_and_targets("DiceLoss", logits, label, self.ignore_index)
        overlap = (p * t * valid).sum(dim=2)
        size = p.pow(self.exponent).sum(dim=2) + t.sum(dim=2)
        terms = 1 - (2 * overlap + self.smooth) / (size + self.smooth)
        loss = mean_over_classes("DiceLoss", terms, logits, self.class_weight, self.ignore_index)
        return self.loss_weight * reduce_loss(loss, None, reduction_override or self.reduction, avg_factor)
