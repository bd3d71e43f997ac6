"""Sums and extremes over the square window around each pixel, cut at the image's border."""

from typing import Callable

import torch

_Combine = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def window_sum(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Sum of the pixels within `radius` in y and in x of each pixel of an (H, W) tensor, in its own type.

    It adds up the window's pixels alone, so its error does not grow with the image as an integral image's does.
    """
    return _over_window(image, radius, torch.add, 0)


def is_mixed(image: torch.Tensor, radius: int) -> torch.Tensor:
    """(H, W) bool: whether the window around a pixel holds different values. `image` is an integer (H, W) tensor."""
    bounds = torch.iinfo(image.dtype)
    return _over_window(image, radius, torch.max, bounds.min) != _over_window(image, radius, torch.min, bounds.max)


def window_size(height: int, width: int, radius: int, device: torch.device) -> torch.Tensor:
    """(height, width) int32, the number of the image's pixels in the window around each."""

    def extent(length: int) -> torch.Tensor:
        position = torch.arange(length, dtype=torch.int32, device=device)
        return (position + radius).clamp_(max=length - 1) - (position - radius).clamp_(min=0) + 1

    return extent(height)[:, None] * extent(width)[None, :]


def _over_window(image: torch.Tensor, radius: int, combine: _Combine, neutral: int) -> torch.Tensor:
    for dim in (0, 1):
        image = _along(image, dim, radius, combine, neutral)
    return image


def _along(image: torch.Tensor, dim: int, radius: int, combine: _Combine, neutral: int) -> torch.Tensor:
    length = image.shape[dim]
    radius = min(radius, length - 1)
    shape = list(image.shape)
    shape[dim] = length + 2 * radius
    padded = image.new_full(shape, neutral)
    padded.narrow(dim, radius, length).copy_(image)
    # Over 1, 2, 4 … neighbours; the window is put together from these like a binary number, so that the work for a
    # pixel grows with the logarithm of the radius.
    window, size, offset = 2 * radius + 1, 1, 0
    power, result = padded, None
    while True:
        if window & size:
            part = power.narrow(dim, offset, length)
            result = part if result is None else combine(result, part)
            offset += size
        if 2 * size > window:
            return result
        reach = power.shape[dim] - size
        power = combine(power.narrow(dim, 0, reach), power.narrow(dim, size, reach))
        size *= 2
