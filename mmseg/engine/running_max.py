"""The best of several channels by running maxima, which on a CPU is several times as fast as argmax, max or topk over
the first dimension: every step is a whole vector instruction over two rows of memory."""

from typing import Optional

import torch


def running_max(values: torch.Tensor, out: Optional[torch.Tensor] = None) -> torch.Tensor:
    """(C, N) to (C, N), `out` where that is given: in row c the largest of the rows 0 … c, in the last the best."""
    result = torch.empty_like(values) if out is None else out
    result[0] = values[0]
    for row in range(1, len(values)):
        torch.max(result[row - 1], values[row], out=result[row])
    return result


def first_best(maxima: torch.Tensor) -> torch.Tensor:
    """The first row that holds the best value of each column: as many rows as their running maximum is below it.

    Args:
        maxima: (C, N) of `running_max`. All rows but the last are overwritten.

    Returns:
        (N,) of `class_dtype(C)`.
    """
    return maxima[:-1].lt_(maxima[-1]).sum(0).to(class_dtype(len(maxima)))


def class_dtype(classes: int) -> torch.dtype:
    """The narrowest integer type that holds the ids of so many classes."""
    for dtype in (torch.uint8, torch.int16):
        if classes - 1 <= torch.iinfo(dtype).max:
            return dtype
    return torch.int32
