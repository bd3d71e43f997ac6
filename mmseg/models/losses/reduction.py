"""From a loss per element to a loss."""

from typing import Optional, Union

import torch

from mmseg.errors import ConfigError


def reduce_loss(
    loss: torch.Tensor,
    weight: Optional[torch.Tensor] = None,
    reduction: str = "mean",
    avg_factor: Optional[Union[float, torch.Tensor]] = None,
) -> torch.Tensor:
    """Weight a loss per element and reduce it.

    Args:
        loss: any shape.
        weight: factors of the elements, of a shape that broadcasts to `loss`.
        reduction: 'none', 'sum' or 'mean'.
        avg_factor: what the mean divides the sum by; None is the number of elements, whatever their weights.

    Raises:
        ConfigError: another reduction, or 'sum' together with `avg_factor`.
    """
    if weight is not None:
        loss = loss * weight
    if reduction == "none":
        return loss
    if reduction == "sum" and avg_factor is None:
        return loss.sum()
    if reduction != "mean":
        raise ConfigError(f"the reduction of a loss is 'none', 'sum' (without avg_factor) or 'mean', not {reduction!r}")
    if avg_factor is None:
        return loss.mean()
    # The small term keeps the mean over no elements at 0.
    return loss.sum() / (avg_factor + torch.finfo(torch.float32).eps)
