"""Images, masks and index files for the tests of data sets."""

from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np
from PIL import Image

MEAN = [123.675, 116.28, 103.53]
STD = [58.395, 57.12, 57.375]
NORM = {"mean": MEAN, "std": STD, "to_rgb": True}


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_image(path: Path, image: np.ndarray, extension: Optional[str] = None) -> str:
    """Write by memory, so that any name works; lossless for png and bmp."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(extension or path.suffix, image)[1].tobytes())
    return str(path)


def write_palette_mask(path: Path, mask: np.ndarray) -> str:
    """An indexed PNG whose colours have nothing to do with the indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    image.putpalette([(7 * i + 91 * c + 50) % 256 for i in range(256) for c in range(3)])
    assert image.mode == "P"
    image.save(str(path), format="PNG")
    return str(path)


def write_pairs(
    folder: Path, sizes: Sequence[Tuple[int, int]], num_classes: int = 4, names: Optional[Sequence[str]] = None
) -> List[Tuple[str, str]]:
    """Images of the given (height, width) with masks; channel 0 of the image is 10 times the class id."""
    pairs = []
    for i, (height, width) in enumerate(sizes):
        rng = np.random.default_rng(i)
        mask = rng.integers(0, num_classes, (height, width), dtype=np.uint8)
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        image[:, :, 0] = mask * 10
        name = names[i] if names else f"{i:03d}"
        pairs.append(
            (
                write_image(folder / "images" / f"{name}.png", image),
                write_image(folder / "masks" / f"{name}.png", mask),
            )
        )
    return pairs


def write_index(path: Path, pairs: Sequence[Sequence[str]]) -> str:
    path.write_text("".join("\t".join(pair) + "\n" for pair in pairs), encoding="utf-8")
    return str(path)
