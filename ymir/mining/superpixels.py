"""Superpixels of an image, by the names that the hyper-parameter superpixel_algorithm takes."""

import math
from typing import Optional

import numpy as np

from mmseg.errors import ConfigError
from mmseg.registry import Registry
from ymir.mining import opencv_slic
from ymir.mining.opencv_seeds import seeds
from ymir.mining.torch_slic import TORCH_ALGORITHMS

BACKENDS = ("opencv", "torch")

# Functions (image, max_count) -> labels, or None where the algorithm cannot do the image.
SUPERPIXELS = Registry("superpixel_algorithm")
SUPERPIXELS.register_module("seeds")(seeds)


@SUPERPIXELS.register_module("slic")
def slic(image: np.ndarray, max_count: int) -> Optional[np.ndarray]:
    """SLIC (Achanta et al.: SLIC Superpixels Compared to State-of-the-Art Superpixel Methods, TPAMI 2012)."""
    return opencv_slic.slic(image, "slic", max_count)


@SUPERPIXELS.register_module("slico")
def slico(image: np.ndarray, max_count: int) -> Optional[np.ndarray]:
    """SLICO, the variant of SLIC by its authors that adapts the compactness of each superpixel."""
    return opencv_slic.slic(image, "slico", max_count)


@SUPERPIXELS.register_module("mslic")
def mslic(image: np.ndarray, max_count: int) -> Optional[np.ndarray]:
    """MSLIC (Liu et al.: Manifold SLIC, A Fast Method to Compute Content-Sensitive Superpixels, CVPR 2016), or SLICO
    where OpenCV cannot do the image by it."""
    labels = opencv_slic.mslic(image, max_count)
    return slico(image, max_count) if labels is None else labels


def check_backend(algorithm: str, backend: str) -> None:
    """Refuse what cannot be computed: opencv has all algorithms, torch has slic and slico.

    Raises:
        ConfigError: there is no algorithm or backend of that name, or the backend does not have the algorithm.
    """
    SUPERPIXELS.get(algorithm)
    if backend not in BACKENDS:
        raise ConfigError(f"superpixel_backend must be {' or '.join(BACKENDS)}, not {backend!r}")
    if backend == "torch" and algorithm not in TORCH_ALGORITHMS:
        raise ConfigError(
            f"superpixel_algorithm {algorithm} needs superpixel_backend opencv: torch computes "
            f"{' and '.join(TORCH_ALGORITHMS)} only"
        )


def compute_superpixels(image: np.ndarray, algorithm: str, max_count: int) -> np.ndarray:
    """Divide an image into at most `max_count` superpixels, by OpenCV's ximgproc with 10 iterations.

    Images that are too small or too narrow for the algorithm are divided into squares.

    Args:
        image: (H, W, 3) uint8, BGR.
        algorithm: slic, slico, mslic, or seeds (Van den Bergh et al.: SEEDS, Superpixels Extracted via Energy-Driven
            Sampling, ECCV 2012).
        max_count: most superpixels, at least 1.

    Returns:
        (H, W) int32 labels, each of 0 … n - 1 in use.

    Raises:
        ConfigError: there is no algorithm of that name.
        ValueError: the image is not of that shape and type, or `max_count` is not positive.
    """
    divide = SUPERPIXELS.get(algorithm)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(f"superpixels need an (H, W, 3) uint8 image, not {image.shape} of {image.dtype}")
    if max_count < 1:
        raise ValueError(f"the number of superpixels must be at least 1, not {max_count}")
    height, width = image.shape[:2]
    if max_count == 1:
        return np.zeros((height, width), np.int32)
    labels = divide(np.ascontiguousarray(image), max_count)
    return _squares(height, width, max_count) if labels is None else labels


def _squares(height: int, width: int, max_count: int) -> np.ndarray:
    side = max(1, math.ceil(math.sqrt(height * width / max_count)))
    while math.ceil(height / side) * math.ceil(width / side) > max_count:
        side += max(1, side // 16)
    row = np.arange(height, dtype=np.int32) // side
    column = np.arange(width, dtype=np.int32) // side
    return row[:, None] * (column[-1] + 1) + column[None, :]
