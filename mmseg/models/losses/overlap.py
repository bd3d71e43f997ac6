"""Soft overlap of predicted and labelled regions: what the Dice and the Tversky loss are made of."""

from typing import Optional, Sequence, Tuple

import torch

from mmseg.errors import ConfigError
from mmseg.models.losses.class_weight import class_weight_tensor


def probabilities_and_targets(
    loss: str, logits: torch.Tensor, label: torch.Tensor, ignore_index: int
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Softmax probabilities, one-hot labels and which pixels count, over the pixels of each image.

    Labels above the last class, such as an `ignore_index` of 255, are of the last class in the one-hot labels, as they
    are in mmsegmentation.

    Args:
        loss: named in messages.
        logits: (B, C, H, W).
        label: (B, H, W), int64.

    Returns:
        (B, C, H * W), (B, C, H * W) and (B, 1, H * W), all of the type of the logits.

    Raises:
        ConfigError: there is one channel only, whose softmax is always 1.
    """
    channels = logits.shape[1]
    if channels == 1:
        raise ConfigError(f"{loss}: it needs an output channel for each class, not one for two classes")
    probabilities = torch.softmax(logits, dim=1).flatten(2)
    index = label.clamp(0, channels - 1).flatten(1).unsqueeze(1)
    targets = torch.zeros_like(probabilities).scatter_(1, index, 1.0)
    return probabilities, targets, (label != ignore_index).flatten(1).unsqueeze(1).to(logits.dtype)


def mean_over_classes(
    loss: str,
    terms: torch.Tensor,
    logits: torch.Tensor,
    class_weight: Optional[Sequence[float]],
    ignore_index: int,
) -> torch.Tensor:
    """The mean of terms (B, C) over images and classes, weighted by `class_weight`.

    A class whose number is `ignore_index` adds nothing, but counts among the C that the sum is divided by.
    """
    factors = class_weight_tensor(loss, class_weight, logits)
    if factors is None:
        factors = torch.ones_like(terms[0])
    if 0 <= ignore_index < terms.shape[1]:
        factors[ignore_index] = 0
    return (terms.mean(dim=0) * factors).mean()
