"""The entropy of the classes' shares in windows of a class map."""

import math
from functools import partial
from typing import Callable, Sequence

import torch

from mmseg.engine.band_threads import run_in_threads
from mmseg.engine.running_max import class_dtype
from ymir.mining.windows import window_sum

# Windows of up to so many pixels are gone through pair by pair of their pixels, larger ones class by class.
_MOST_PIXELS_FOR_PAIRS = 9
# Windows worked on at once on a CPU, so that their pixels stay in its cache.
_WINDOWS_ON_CPU = 1 << 16


def share_entropy(
    class_map: torch.Tensor, num_classes: int, radius: int, *, at: torch.Tensor, size: torch.Tensor
) -> torch.Tensor:
    """Entropy in nats of the classes' shares in square windows cut at the image's border.

    It is (N log N - sum n log n) / N of a window of N pixels with n of each class. Windows with the same numbers of
    pixels of their classes, whichever these are, have equal results to the last digit, and those of one class have 0.

    Args:
        class_map: (H, W), integer, from 0 to C - 1.
        num_classes: C.
        radius: of the windows in pixels.
        at: (windows,) int64, row-major indices of the windows' centres.
        size: (windows,) integer, the windows' numbers of pixels in the image.

    Returns:
        (windows,) float64.
    """
    side = 2 * radius + 1
    height, width = class_map.shape
    table = _logarithms(min(side, height) * min(side, width), class_map.device)
    count = _by_pairs if side**2 <= _MOST_PIXELS_FOR_PAIRS else _by_class
    of_counts = count(class_map, num_classes, radius, at, table)
    # From the table too, so that a window of one class has exactly 0.
    return (table.index_select(0, size.long()) * size - of_counts) / size


def _by_class(
    class_map: torch.Tensor, num_classes: int, radius: int, at: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    """The sum of n log n over the classes, for each window; `table` gives log n at n."""
    table = table * torch.arange(len(table), device=class_map.device)
    total = torch.zeros(len(at), dtype=torch.float64, device=class_map.device)
    dtype = _count_dtype(radius)
    for class_id in torch.bincount(class_map.reshape(-1).int(), minlength=num_classes).nonzero().squeeze(1).tolist():
        count = window_sum((class_map == class_id).to(dtype), radius).reshape(-1).index_select(0, at)
        total += table.index_select(0, count.long())
    return total


def _by_pairs(
    class_map: torch.Tensor, num_classes: int, radius: int, at: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    """The same, pixel by pixel: each of the n pixels of a class adds log n, having as many equals in the window."""
    height, width = class_map.shape
    side = 2 * radius + 1
    outside = num_classes
    dtype = class_dtype(num_classes + 1)
    padded = torch.full((height + 2 * radius, width + 2 * radius), outside, dtype=dtype, device=class_map.device)
    padded[radius : radius + height, radius : radius + width] = class_map
    padded = padded.reshape(-1)
    # The window around a pixel begins, in the padded map, at the pixel's own row and column.
    begin = at + torch.div(at, width, rounding_mode="floor") * (2 * radius)
    total = torch.zeros(len(at), dtype=torch.float64, device=class_map.device)
    steps = [y * (width + 2 * radius) + x for y in range(side) for x in range(side)]

    def add(part: slice) -> None:
        corner = begin[part]
        pixels = [padded.index_select(0, corner + away) for away in steps]
        equals = [torch.ones_like(pixel) for pixel in pixels]
        for i, pixel in enumerate(pixels):
            for j in range(i):
                same = pixel == pixels[j]
                equals[i] += same
                equals[j] += same
        for pixel, count in zip(pixels, equals):
            total[part] += table.index_select(0, count.masked_fill_(pixel == outside, 1).long())

    if class_map.device.type != "cpu":
        add(slice(None))
        return total
    parts = [slice(first, first + _WINDOWS_ON_CPU) for first in range(0, len(at), _WINDOWS_ON_CPU)]
    share = -(-len(parts) // torch.get_num_threads())
    if parts:
        run_in_threads([partial(_each, add, parts[i : i + share]) for i in range(0, len(parts), share)])
    return total


def _each(function: Callable[[slice], None], parts: Sequence[slice]) -> None:
    for part in parts:
        function(part)


def _logarithms(most: int, device: torch.device) -> torch.Tensor:
    """log n, float64, at n = 0 … most, with so few binary digits that sums of up to `most` of them, times up to `most`,
    are exact and so do not depend on their order."""
    unit = 2.0 ** (math.ceil(math.log2(most * math.log(most) + 1)) - 52)
    numbers = torch.arange(most + 1, dtype=torch.float64, device=device).clamp_(min=1)
    return torch.round(torch.log(numbers) / unit) * unit


def _count_dtype(radius: int) -> torch.dtype:
    """The narrowest type that holds the number of pixels in a window: narrow ones are several times as fast."""
    for dtype in (torch.uint8, torch.int16):
        if (2 * radius + 1) ** 2 <= torch.iinfo(dtype).max:
            return dtype
    return torch.int32
