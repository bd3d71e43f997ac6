"""SEEDS of OpenCV's ximgproc, kept within a number of superpixels."""

import math
from typing import Optional

import cv2
import numpy as np

from ymir.mining.opencv_slic import contiguous

_LEVELS = 5
_PRIOR = 3
_HISTOGRAM_BINS = 5
_ITERATIONS = 10


def seeds(image: np.ndarray, max_count: int) -> Optional[np.ndarray]:
    """Superpixels by SEEDS with num_superpixels `max_count`, reduced until they are not too many.

    Args:
        image: (H, W, 3) uint8, as OpenCV decodes it.
        max_count: most superpixels.

    Returns:
        (H, W) int32 labels 0 … n - 1, n at most `max_count`; None where the image is too small or too narrow.
    """
    height, width = image.shape[:2]
    for wanted in range(min(max_count, height * width), 0, -1):
        count = _number_of_superpixels(height, width, wanted)
        if count is not None and count <= max_count:
            break
    else:
        return None
    superpixels = cv2.ximgproc.createSuperpixelSEEDS(
        width, height, image.shape[2], wanted, _LEVELS, _PRIOR, _HISTOGRAM_BINS, True
    )
    superpixels.iterate(image, _ITERATIONS)
    return contiguous(superpixels.getLabels())


def _number_of_superpixels(height: int, width: int, wanted: int) -> Optional[int]:
    """How many superpixels OpenCV makes, or None where it would crash or not return.

    It lays a grid of the wanted number of cells (at least 10), takes the most levels up to `_LEVELS` at which the
    smallest blocks still have a pixel, and doubles the block size from level to level, dropping what is left over at
    the border. No cell, or a single level, is more than its memory is laid out for.
    """
    rows = int(math.sqrt(max(wanted, 10) * height / width))
    columns = rows * width // height
    if rows < 1 or columns < 1:
        return None
    levels = _LEVELS
    while levels > 1 and min(width / columns, height / rows) < 2 ** (levels - 1):
        levels -= 1
    if levels < 2:
        return None
    block = 2 ** (levels - 1)
    block_width, block_height = math.ceil(width / columns / block), math.ceil(height / rows / block)
    return (width // block_width // block) * (height // block_height // block) or None
