"""Generated images for the miners: ordinary ones, and those that are likely to break one."""

import numpy as np

SHAPES = [(1, 1), (1, 2), (1, 17), (13, 1), (2, 2), (3, 5), (6, 6), (9, 7), (8, 12)]
CLASSES = [1, 2, 3, 5, 19]
KINDS = ["normal", "ties", "blocks", "uniform", "one class", "saturated", "nearly certain", "log-probabilities"]


def make_logits(rng: np.random.Generator, dtype: type = np.float64) -> np.ndarray:
    """(C, H, W) logits of a kind drawn by chance."""
    num_classes = int(rng.choice(CLASSES))
    height, width = SHAPES[rng.integers(len(SHAPES))]
    shape = (num_classes, height, width)
    kind = KINDS[rng.integers(len(KINDS))]
    noise = rng.standard_normal(shape)
    if kind == "normal":
        logits = noise * rng.choice([0.1, 1.0, 5.0])
    elif kind == "ties":
        logits = rng.integers(0, 3, shape).astype(np.float64)
    elif kind == "blocks":
        logits = np.kron(noise, np.ones((1, 3, 3)))[:, :height, :width]
    elif kind == "uniform":
        logits = np.full(shape, float(rng.integers(-3, 3)))
    elif kind == "one class":
        logits = noise
        logits[rng.integers(num_classes)] += 20
    elif kind == "saturated":
        logits = 100.0 * (np.arange(num_classes)[:, None, None] == rng.integers(0, num_classes, (height, width)))
    elif kind == "nearly certain":
        logits = noise + 15 * (np.arange(num_classes)[:, None, None] == rng.integers(0, num_classes, (height, width)))
    else:
        share = np.clip(rng.random((height, width)) * 1.4 - 0.2, 0, 1)
        with np.errstate(divide="ignore"):
            logits = np.log(np.stack([share, 1 - share]))
    return logits.astype(dtype)


def make_superpixels(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width) int32 labels; numbers may be missing."""
    kind = rng.integers(4)
    if kind == 0:
        return np.zeros((height, width), np.int32)
    if kind == 1:
        return np.arange(height * width, dtype=np.int32).reshape(height, width)
    if kind == 2:
        side = int(rng.integers(2, 5))
        return (np.arange(height)[:, None] // side * width + np.arange(width) // side).astype(np.int32)
    return rng.integers(0, 1 + rng.integers(1, 20), (height, width)).astype(np.int32)
