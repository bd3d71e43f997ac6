"""The focal loss (Lin et al., arXiv 1708.02002) over the sigmoid of each class by itself."""

from typing import Any, Optional, Sequence, Union

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.builder import LOSSES
from mmseg.models.losses.class_weight import class_weight_tensor, read_class_weight
from mmseg.models.losses.reduction import reduce_loss


@LOSSES.register_module()
class FocalLoss(nn.Module):
    """alpha_t (1 - p_t)^gamma times the binary cross entropy of every class against the rest.

    The mean is over all B x C x H x W terms, the ignored pixels' too, as in mmsegmentation 0.27.

    Args:
        use_sigmoid: True; there is no other form.
        gamma: how little the terms count that are nearly right.
        alpha: factor of the terms where the class is the label, 1 - alpha of the others; one number, or one for each
            class.
        reduction: 'none', 'mean' or 'sum'.
        class_weight: one factor for each class, of all its terms.
        loss_weight: factor of the whole.
        loss_name: the name in the log; it counts for training when "loss" is part of it.
    """

    def __init__(
        self,
        *,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: Union[float, Sequence[float]] = 0.5,
        reduction: str = "mean",
        class_weight: Optional[Sequence[float]] = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_focal",
    ) -> None:
        super().__init__()
        if not use_sigmoid:
            raise ConfigError("FocalLoss: use_sigmoid is True, there is no softmax form")
        if reduction not in ("none", "mean", "sum"):
            raise ConfigError(f"FocalLoss: reduction is 'none', 'mean' or 'sum', not {reduction!r}")
        if not isinstance(alpha, (int, float)) and not _are_numbers(alpha):
            raise ConfigError(f"FocalLoss: alpha is a number or a list of numbers, not {alpha!r}")
        self.gamma = float(gamma)
        self.alpha = alpha
        self.reduction = reduction
        self.class_weight = read_class_weight("FocalLoss", class_weight)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        logits: torch.Tensor,
        label: torch.Tensor,
        weight: Optional[torch.Tensor] = None,
        avg_factor: Optional[Union[float, torch.Tensor]] = None,
        reduction_override: Optional[str] = None,
        ignore_index: int = 255,
        **_: Any,
    ) -> torch.Tensor:
        """Loss of logits (B, C, H, W) against label (B, H, W), with factors of the pixels (B, H, W) in `weight`.

        One channel is the logit of class 1 of two.

        Raises:
            ConfigError: `class_weight` or `alpha` does not have one entry for each channel.
        """
        valid = label != ignore_index
        index = label.masked_fill(~valid, 0).unsqueeze(1)
        if logits.shape[1] == 1:
            target = index.to(logits.dtype)
        else:
            target = torch.zeros_like(logits).scatter_(1, index, 1.0)
        probability = torch.sigmoid(logits)
        wrong = probability + target * (1 - 2 * probability)
        alpha = self._alpha(logits)
        terms = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        terms = terms * (alpha * target + (1 - alpha) * (1 - target)) * wrong.pow(self.gamma)
        factor = valid.to(logits.dtype) if weight is None else valid.to(logits.dtype) * weight
        factor = factor.unsqueeze(1)
        class_weight = class_weight_tensor("FocalLoss", self.class_weight, logits)
        if class_weight is not None:
            factor = factor * class_weight.view(-1, 1, 1)
        return self.loss_weight * reduce_loss(terms, factor, reduction_override or self.reduction, avg_factor)

    def _alpha(self, logits: torch.Tensor) -> Union[float, torch.Tensor]:
        """`alpha`, as a tensor (C, 1, 1) where it is a list."""
        if isinstance(self.alpha, (int, float)):
            return self.alpha
        if len(self.alpha) != logits.shape[1]:
            raise ConfigError(f"FocalLoss: alpha has {len(self.alpha)} entries for {logits.shape[1]} channels")
        return logits.new_tensor(list(self.alpha)).view(-1, 1, 1)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, (int, float)) for item in value)
