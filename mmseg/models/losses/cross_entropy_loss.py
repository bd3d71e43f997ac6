"""Cross entropy over the softmax of the classes, or over the sigmoid of each class by itself."""

from typing import Any, Optional, Sequence, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from mmseg.errors import ConfigError
from mmseg.models.builder import LOSSES
from mmseg.models.losses.class_weight import class_weight_tensor, read_class_weight
from mmseg.models.losses.reduction import reduce_loss


def cross_entropy(
    logits: torch.Tensor,
    label: torch.Tensor,
    *,
    weight: Optional[torch.Tensor] = None,
    class_weight: Optional[torch.Tensor] = None,
    reduction: str = "mean",
    avg_factor: Optional[float] = None,
    ignore_index: int = 255,
    avg_non_ignore: bool = False,
) -> torch.Tensor:
    """Softmax cross entropy.

    Args:
        logits: (B, C, H, W), float.
        label: (B, H, W), int64.
        weight: (B, H, W), factors of the pixels.
        class_weight: (C,), factors of the classes.
        reduction, avg_factor: see `reduce_loss`. The mean is over all pixels, the ignored ones too, unless
        avg_non_ignore: the mean is over the pixels that are not ignored.
    """
    loss = F.cross_entropy(logits, label, weight=class_weight, reduction="none", ignore_index=ignore_index)
    if avg_non_ignore and avg_factor is None and reduction == "mean":
        avg_factor = (label != ignore_index).sum()
    return reduce_loss(loss, weight, reduction, avg_factor)


class _SummedBinaryCrossEntropy(torch.autograd.Function):
    """Binary cross entropy of every class against the one-hot label, summed over the classes of each pixel.

    The one-hot label is never made: with t = -x for the labelled class and t = x for the others, each term is
    softplus(t). So the forward and the backward pass each need one copy of the logits, and no difference of large
    numbers arises.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, index: torch.Tensor, positive_weight: Optional[torch.Tensor]
    ) -> torch.Tensor:
        """logits (B, C, H, W), index (B, 1, H, W), positive_weight (B, 1, H, W) or None; to (B, H, W)."""
        ctx.save_for_backward(logits, index, positive_weight)
        opposite = -logits.gather(1, index)
        loss = F.softplus(logits.scatter(1, index, opposite)).sum(dim=1)
        if positive_weight is not None:
            loss += ((positive_weight - 1) * F.softplus(opposite)).squeeze(1)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> Tuple[Optional[torch.Tensor], ...]:
        logits, index, positive_weight = ctx.saved_tensors
        of_label = -torch.sigmoid(-logits.gather(1, index))
        if positive_weight is not None:
            of_label *= positive_weight
        grad_logits = torch.sigmoid(logits).scatter_(1, index, of_label)
        return grad_logits.mul_(grad.unsqueeze(1)), None, None


def binary_cross_entropy(
    logits: torch.Tensor,
    label: torch.Tensor,
    *,
    weight: Optional[torch.Tensor] = None,
    class_weight: Optional[torch.Tensor] = None,
    reduction: str = "mean",
    avg_factor: Optional[float] = None,
    ignore_index: int = 255,
    avg_non_ignore: bool = False,
) -> torch.Tensor:
    """Sigmoid cross entropy: every class against the rest.

    Args:
        logits: (B, C, H, W), float; C 1 is the logit of class 1 of two.
        label: (B, H, W), int64.
        weight: (B, H, W), factors of the pixels.
        class_weight: (C,), factors of the terms where the class is the label.
        reduction, avg_factor: see `reduce_loss`. The mean is over all B x C x H x W terms, the ignored pixels' too,
            unless
        avg_non_ignore: the mean is over the C terms of the pixels that are not ignored.
    """
    channels = logits.shape[1]
    valid = label != ignore_index
    factor = valid.to(logits.dtype)
    if avg_non_ignore and avg_factor is None and reduction == "mean":
        avg_factor = valid.sum() * channels
    if weight is not None:
        factor = factor * weight
    if reduction == "none" or channels == 1:
        terms = F.binary_cross_entropy_with_logits(
            logits,
            _targets(logits, label, valid),
            pos_weight=None if class_weight is None else class_weight.view(-1, 1, 1),
            reduction="none",
        )
        return reduce_loss(terms, factor.unsqueeze(1), reduction, avg_factor)
    index = label.masked_fill(~valid, 0).unsqueeze(1)
    pixel = _SummedBinaryCrossEntropy.apply(logits, index, None if class_weight is None else class_weight[index])
    if reduction == "mean" and avg_factor is None:
        avg_factor = logits.numel()
        return (pixel * factor).sum() / avg_factor
    return reduce_loss(pixel, factor, reduction, avg_factor)


def _targets(logits: torch.Tensor, label: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W): 1 where the class is the label, else 0."""
    index = label.masked_fill(~valid, 0).unsqueeze(1)
    if logits.shape[1] == 1:
        return index.to(logits.dtype)
    return torch.zeros_like(logits).scatter_(1, index, 1.0)


@LOSSES.register_module()
class CrossEntropyLoss(nn.Module):
    """Cross entropy with the meanings of mmsegmentation 0.27.

    Args:
        use_sigmoid: every class against the rest, instead of the softmax.
        use_mask: the form for instance masks, which is not for semantic segmentation: refused.
        reduction: 'none', 'mean' or 'sum'.
        class_weight: one factor for each class; with `use_sigmoid` of the terms where the class is the label.
        loss_weight: factor of the whole.
        loss_name: the name in the log; it counts for training when "loss" is part of it.
        avg_non_ignore: take the mean over the pixels that are not ignored.
    """

    def __init__(
        self,
        *,
        use_sigmoid: bool = False,
        use_mask: bool = False,
        reduction: str = "mean",
        class_weight: Optional[Sequence[float]] = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_ce",
        avg_non_ignore: bool = False,
    ) -> None:
        super().__init__()
        if use_mask:
            raise ConfigError("CrossEntropyLoss: use_mask is for instance masks; use use_sigmoid or neither")
        if reduction not in ("none", "mean", "sum"):
            raise ConfigError(f"CrossEntropyLoss: reduction is 'none', 'mean' or 'sum', not {reduction!r}")
        self.use_sigmoid = use_sigmoid
        self.reduction = reduction
        self.class_weight = read_class_weight("CrossEntropyLoss", class_weight)
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.avg_non_ignore = avg_non_ignore

    def forward(
        self,
        logits: torch.Tensor,
        label: torch.Tensor,
        weight: Optional[torch.Tensor] = None,
        avg_factor: Optional[Union[float, torch.Tensor]] = None,
        reduction_override: Optional[str] = None,
        ignore_index: int = 255,
    ) -> torch.Tensor:
        """Loss of logits (B, C, H, W) against label (B, H, W), with factors of the pixels (B, H, W) in `weight`.

        Raises:
            ConfigError: `class_weight` does not have one entry for each channel, or one channel without `use_sigmoid`.
        """
        channels = logits.shape[1]
        if channels == 1 and not self.use_sigmoid:
            raise ConfigError("CrossEntropyLoss: a head with one output channel needs use_sigmoid=True")
        function = binary_cross_entropy if self.use_sigmoid else cross_entropy
        loss = function(
            logits,
            label,
            weight=weight,
            class_weight=class_weight_tensor("CrossEntropyLoss", self.class_weight, logits),
            reduction=reduction_override or self.reduction,
            avg_factor=avg_factor,
            ignore_index=ignore_index,
            avg_non_ignore=self.avg_non_ignore,
        )
        return self.loss_weight * loss
