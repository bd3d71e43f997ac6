"""The Lovász losses (Berman et al., arXiv 1705.08790): a convex stand-in for the intersection over union."""

from typing import Any, List, Optional, Sequence, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import LOSSES
from mmseg.models.losses.class_weight import class_weight_tensor, read_class_weight
from mmseg.models.losses.reduction import reduce_loss


def lovasz_gradient(positive: torch.Tensor) -> torch.Tensor:
    """Gradient of the Lovász extension of the Jaccard loss (algorithm 1).

    Args:
        positive: (N,), bool: whether a pixel is of the class, in the order of falling errors.

    Returns:
        (N,), float: by how much each further error raises 1 - intersection / union.
    """
    found = positive.cumsum(0)  # whole numbers, so exact for any number of pixels
    total = found[-1]
    union = total + (~positive).cumsum(0)
    jaccard = 1 - (total - found).float() / union.float()
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


def lovasz_hinge(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """The Lovász hinge of logits (N,) of class 1 against label (N,) of 0 and 1; 0 where N is 0."""
    if label.numel() == 0:
        return logits.sum() * 0.0
    errors, order = (1 - logits * (2 * label.to(logits.dtype) - 1)).sort(descending=True)
    return torch.dot(errors.relu(), lovasz_gradient(label[order] == 1).to(errors.dtype))


def lovasz_softmax(
    probabilities: torch.Tensor,
    label: torch.Tensor,
    *,
    classes: Union[str, Sequence[int]] = "present",
    class_weight: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """The Lovász-Softmax loss of probabilities (C, N) against label (N,); 0 where N is 0.

    Args:
        classes: the mean is over the classes that are 'present' in the label, over 'all', or over those listed.
        class_weight: (C,), factors of the classes.
    """
    if label.numel() == 0:
        return probabilities.sum() * 0.0
    losses: List[torch.Tensor] = []
    for index in range(probabilities.shape[0]) if isinstance(classes, str) else classes:
        positive = label == index
        if classes == "present" and not bool(positive.any()):
            continue
        errors, order = (positive.to(probabilities.dtype) - probabilities[index]).abs().sort(descending=True)
        loss = torch.dot(errors, lovasz_gradient(positive[order]).to(errors.dtype))
        losses.append(loss if class_weight is None else loss * class_weight[index])
    return torch.stack(losses).mean()


@LOSSES.register_module()
class LovaszLoss(nn.Module):
    """The Lovász-Softmax loss of many classes, or the Lovász hinge of one channel.

    Args:
        loss_type: 'multi_class' or 'binary'.
        classes: 'present', 'all' or a list of classes, see `lovasz_softmax`.
        per_image: take the loss of each image by itself, instead of all pixels of the batch together.
        reduction: of the images' losses: 'none', 'mean' or 'sum'; 'none' without `per_image`.
        class_weight: one factor for each class, for 'multi_class'.
        loss_weight: factor of the whole.
        loss_name: the name in the log; it counts for training when "loss" is part of it.
    """

    def __init__(
        self,
        *,
        loss_type: str = "multi_class",
        classes: Union[str, Sequence[int]] = "present",
        per_image: bool = False,
        reduction: str = "mean",
        class_weight: Optional[Sequence[float]] = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_lovasz",
    ) -> None:
        super().__init__()
        if loss_type not in ("multi_class", "binary"):
            raise ConfigError(f"LovaszLoss: loss_type is 'multi_class' or 'binary', not {loss_type!r}")
        listed = isinstance(classes, (list, tuple)) and classes and all(isinstance(index, int) for index in classes)
        if classes not in ("present", "all") and not listed:
            raise ConfigError(f"LovaszLoss: classes is 'present', 'all' or a list of classes, not {classes!r}")
        if reduction not in ("none", "mean", "sum"):
            raise ConfigError(f"LovaszLoss: reduction is 'none', 'mean' or 'sum', not {reduction!r}")
        if not per_image and reduction != "none":
            raise ConfigError(f"LovaszLoss: reduction is 'none' where per_image is False, not {reduction!r}")
        self.loss_type = loss_type
        self.classes = classes
        self.per_image = per_image
        self.reduction = reduction
        self.class_weight = read_class_weight("LovaszLoss", class_weight)
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
        """Loss of logits (B, C, H, W) against label (B, H, W). Factors of pixels have no meaning here and are unused.

        Raises:
            ConfigError: more than one channel for 'binary' or one for 'multi_class', or `class_weight` or `classes` do
                not fit the channels.
        """
        channels = logits.shape[1]
        if (channels == 1) != (self.loss_type == "binary"):
            needed = "one output channel" if self.loss_type == "binary" else "an output channel for each class"
            raise ConfigError(f"LovaszLoss: loss_type {self.loss_type!r} needs {needed}, not {channels}")
        if not isinstance(self.classes, str) and any(index not in range(channels) for index in self.classes):
            raise ConfigError(f"LovaszLoss: classes are of 0 to {channels - 1}, not {self.classes!r}")
        class_weight = None
        if self.loss_type == "multi_class":
            class_weight = class_weight_tensor("LovaszLoss", self.class_weight, logits)
            scores = torch.softmax(logits, dim=1)
        else:
            scores = logits

        def flat_loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
            """Loss of scores (C, N) against label (N,)."""
            valid = label != ignore_index
            if self.loss_type == "binary":
                return lovasz_hinge(scores[0][valid], label[valid])
            return lovasz_softmax(scores[:, valid], label[valid], classes=self.classes, class_weight=class_weight)

        if self.per_image:
            images = [flat_loss(image.flatten(1), of_image.flatten()) for image, of_image in zip(scores, label)]
            loss = reduce_loss(torch.stack(images), None, reduction_override or self.reduction, avg_factor)
        else:
            loss = flat_loss(scores.transpose(0, 1).flatten(1), label.flatten())
        return self.loss_weight * loss
