"""Inference over overlapping windows, for images larger than what a network was trained on."""

from typing import Callable, Iterator, Optional, Sequence, Tuple

import torch


def windows(
    image_size: Sequence[int], crop_size: Sequence[int], stride: Sequence[int]
) -> Iterator[Tuple[slice, slice]]:
    """Rows and columns of the windows over an image, row by row.

    All sizes are (height, width). Windows start every `stride` pixels; one that would reach over the border is moved
    back to it, so every window has the size `crop_size` where the image is at least as large.
    """
    (height, width), (crop_height, crop_width), (row_stride, column_stride) = image_size, crop_size, stride
    rows = max(height - crop_height + row_stride - 1, 0) // row_stride + 1
    columns = max(width - crop_width + column_stride - 1, 0) // column_stride + 1
    for row in range(rows):
        bottom = min(row * row_stride + crop_height, height)
        for column in range(columns):
            right = min(column * column_stride + crop_width, width)
            yield slice(max(bottom - crop_height, 0), bottom), slice(max(right - crop_width, 0), right)


def slide(
    predict: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    crop_size: Sequence[int],
    stride: Sequence[int],
) -> torch.Tensor:
    """The mean over all windows that cover a pixel of the logits that `predict` gives for them.

    Args:
        predict: (B, 3, h, w) to logits (B, C, h, w).
        image: (B, 3, H, W).
        crop_size, stride: (height, width), in pixels.

    Returns:
        Logits (B, C, H, W).
    """
    total: Optional[torch.Tensor] = None
    count = image.new_zeros((1, 1, *image.shape[2:]))
    for rows, columns in windows(image.shape[2:], crop_size, stride):
        logits = predict(image[:, :, rows, columns])
        if total is None:
            total = logits.new_zeros((*logits.shape[:2], *image.shape[2:]))
        total[:, :, rows, columns] += logits
        count[:, :, rows, columns] += 1
    return total.div_(count)
