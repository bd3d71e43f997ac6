"""Resizing of feature maps and logits."""

from typing import Optional, Sequence

import torch
import torch.nn.functional as F


def resize(
    input: torch.Tensor,
    size: Optional[Sequence[int]] = None,
    scale_factor: Optional[float] = None,
    mode: str = "bilinear",
    align_corners: Optional[bool] = None,
) -> torch.Tensor:
    """Interpolate (B, C, h, w) to `size` (height, width) or by `scale_factor`; the input itself where the size is
    the same.

    `align_corners` counts for the linear modes only, as in torch; None means False.
    """
    if size is not None:
        size = tuple(int(side) for side in size)
        if size == tuple(input.shape[2:]):
            return input
    if mode in ("nearest", "area"):
        align_corners = None
    elif align_corners is None:
        align_corners = False
    return F.interpolate(input, size, scale_factor, mode, align_corners)
