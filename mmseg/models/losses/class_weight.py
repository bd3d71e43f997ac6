"""Factors of the classes in a loss."""

from typing import List, Optional, Sequence

import torch

from mmseg.errors import ConfigError


def read_class_weight(loss: str, class_weight: Optional[Sequence[float]]) -> Optional[List[float]]:
    """The `class_weight` of a config as a list of numbers. Raises ConfigError, naming the loss, when it is none."""
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        raise ConfigError(f"{loss}: class_weight is a list of numbers, not a file ({class_weight!r})")
    try:
        return [float(value) for value in class_weight]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{loss}: class_weight is a list of numbers, not {class_weight!r}") from error


def class_weight_tensor(
    loss: str, class_weight: Optional[Sequence[float]], logits: torch.Tensor
) -> Optional[torch.Tensor]:
    """`class_weight` as a tensor (C,) beside logits (B, C, H, W). Raises ConfigError when the lengths differ."""
    if class_weight is None:
        return None
    if len(class_weight) != logits.shape[1]:
        raise ConfigError(f"{loss}: class_weight has {len(class_weight)} entries for {logits.shape[1]} channels")
    return logits.new_tensor(class_weight)
