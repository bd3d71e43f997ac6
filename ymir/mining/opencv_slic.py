"""SLIC, SLICO and MSLIC of OpenCV's ximgproc, kept within a number of superpixels.

MSLIC of OpenCV reads and writes out of bounds on some images, dark ones above all, which ends the whole process. So
`mslic` runs this file as a program of its own, for which numpy and OpenCV are enough.
"""

import math
import subprocess
import sys
from typing import Optional

import cv2
import numpy as np

_VARIANTS = {"slic": cv2.ximgproc.SLIC, "slico": cv2.ximgproc.SLICO, "mslic": cv2.ximgproc.MSLIC}
_ITERATIONS = 10
_MOST_GROWTH = 1.5


def slic(image: np.ndarray, variant: str, max_count: int) -> Optional[np.ndarray]:
    """Superpixels by region_size 2 round(sqrt(pixels / max_count)), grown until they are not too many.

    Args:
        image: (H, W, 3) uint8, as OpenCV decodes it.
        variant: slic, slico or mslic.
        max_count: most superpixels.

    Returns:
        (H, W) int32 labels 0 … n - 1 in OpenCV's order, n at most `max_count`; None where the image is too small or
        too narrow for a region size that would do.
    """
    height, width = image.shape[:2]
    region_size = max(2, 2 * round(math.sqrt(height * width / max_count)))
    # From twice the shorter side on, the grid's only row of seeds would lie outside the image, where OpenCV reads.
    while region_size < 2 * min(height, width):
        superpixels = cv2.ximgproc.createSuperpixelSLIC(image, _VARIANTS[variant], region_size)
        superpixels.iterate(_ITERATIONS)
        labels = contiguous(superpixels.getLabels())
        count = int(labels.max()) + 1
        if count <= max_count:
            return labels
        # The number falls about with the square of the size, so this takes few attempts; small steps, because MSLIC,
        # which is content-sensitive, is far from that rule.
        factor = min(math.sqrt(count / max_count), _MOST_GROWTH)
        region_size = max(region_size + 2, 2 * math.ceil(region_size * factor / 2))
    return None


def mslic(image: np.ndarray, max_count: int) -> Optional[np.ndarray]:
    """`slic` with the variant mslic in a process of its own; None also where OpenCV crashed on the image."""
    height, width = image.shape[:2]
    command = [sys.executable, __file__, str(height), str(width), str(max_count), str(cv2.getNumThreads())]
    child = subprocess.run(command, input=image.tobytes(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if child.returncode != 0 or len(child.stdout) != 4 * height * width:
        return None
    return np.frombuffer(child.stdout, np.int32).reshape(height, width).copy()


def contiguous(labels: np.ndarray) -> np.ndarray:
    """Labels without gaps, in the same order: OpenCV leaves some numbers to no pixel."""
    used = np.bincount(labels.reshape(-1)) > 0
    return (np.cumsum(used, dtype=np.int32) - 1)[labels]


def _main() -> None:
    height, width, max_count, threads = (int(argument) for argument in sys.argv[1:])
    cv2.setNumThreads(threads)
    image = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(height, width, 3).copy()
    labels = slic(image, "mslic", max_count)
    if labels is not None:
        sys.stdout.buffer.write(labels.tobytes())


if __name__ == "__main__":
    _main()
