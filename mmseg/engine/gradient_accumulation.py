"""Several iterations for one step of the optimizer."""

from typing import Any, Dict, Mapping

import torch
from torch import nn

from mmseg.errors import ConfigError


class GradientAccumulation:
    """Which iterations step, and by what their losses are divided so that the step is that of the mean loss.

    Iterations are counted from 0 over the whole run. Groups of `cumulative_iters` follow one another; the last group
    ends with the run, however short it is.

    Args:
        cumulative_iters: iterations a step, 1 for none to be accumulated.
        max_iters: iterations of the whole run.

    Raises ConfigError when `cumulative_iters` is not a positive integer.
    """

    def __init__(self, cumulative_iters: int, max_iters: int) -> None:
        if isinstance(cumulative_iters, bool) or not isinstance(cumulative_iters, int) or cumulative_iters < 1:
            raise ConfigError(f"cumulative_iters must be a whole number above 0, not {cumulative_iters!r}")
        self._length = cumulative_iters
        self._max_iters = max_iters

    def begins(self, iteration: int) -> bool:
        """Whether an iteration is the first of its group."""
        return iteration % self._length == 0

    def ends(self, iteration: int) -> bool:
        """Whether an iteration is the last of its group, so that the optimizer steps after it."""
        return (iteration + 1) % self._length == 0 or iteration + 1 >= self._max_iters

    def divisor(self, iteration: int) -> int:
        """How many iterations the group of an iteration has."""
        rest = self._max_iters % self._length
        return rest if iteration >= self._max_iters - rest else self._length


def gradients_of(model: nn.Module) -> Dict[str, torch.Tensor]:
    """The gradients that the parameters of a model hold, by the parameters' names."""
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def set_gradients(model: nn.Module, gradients: Mapping[str, Any]) -> None:
    """Give the parameters of a model the gradients that `gradients_of` found; those it does not name get none."""
    for name, parameter in model.named_parameters():
        gradient = gradients.get(name)
        # With the layout of its parameter, as the backward pass makes it.
        parameter.grad = None if gradient is None else torch.empty_like(parameter.detach()).copy_(gradient)
