"""Stochastic depth (Huang et al., arXiv 1603.09382)."""

from typing import List

import torch
import torch.nn as nn


class DropPath(nn.Module):
    """In training, leave the residual branch out for each image by itself with a probability of `drop_prob`.

    What is kept is divided by the probability of keeping it, so that the mean stays.
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, ...) to the same shape."""
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        shape = (x.shape[0],) + (1,) * (x.dim() - 1)
        kept = torch.rand(shape, device=x.device) < keep_prob
        return x * kept.to(x.dtype) / keep_prob

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}"


def drop_path_rates(rate: float, depth: int) -> List[float]:
    """The rates of `depth` blocks: rising evenly from 0 at the first to `rate` at the last."""
    return [rate * index / (depth - 1) if depth > 1 else 0.0 for index in range(depth)]
