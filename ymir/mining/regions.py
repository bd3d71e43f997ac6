"""What mining says about regions: of one image, and of the whole pool."""

import struct
from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from ymir.errors import TaskError

_HEADER = struct.Struct("<4sIII")
_MAGIC = b"RGS1"


@dataclass(frozen=True, eq=False)
class RegionScores:
    """The scored regions of one image, in compact arrays of equal length.

    Args:
        score: float64, the higher the more worth labelling.
        class_id: int32, the region's class.
        pixel_count: int32, the number of pixels in the region.
        region: int32, what the region is: the label of a superpixel, or the row-major index of a window's centre.
        size: (height, width) of the image in pixels.
    """

    score: np.ndarray
    class_id: np.ndarray
    pixel_count: np.ndarray
    region: np.ndarray
    size: Tuple[int, int]

    def __len__(self) -> int:
        return len(self.score)

    def to_bytes(self) -> bytes:
        """A header of 16 bytes, then 20 bytes for each region."""
        header = _HEADER.pack(_MAGIC, len(self), *self.size)
        integers = (self.class_id, self.pixel_count, self.region)
        return header + self.score.astype("<f8").tobytes() + b"".join(a.astype("<i4").tobytes() for a in integers)

    @classmethod
    def from_bytes(cls, data: bytes) -> "RegionScores":
        """The region scores that `to_bytes` wrote. Raises TaskError where `data` is something else."""
        magic, count, height, width = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (b"", 0, 0, 0)
        if magic != _MAGIC or len(data) != _HEADER.size + 20 * count:
            raise TaskError(f"{len(data)} bytes were expected to be region scores, but are not")
        score = np.frombuffer(data, "<f8", count, _HEADER.size).astype(np.float64)
        integers = np.frombuffer(data, "<i4", 3 * count, _HEADER.size + 8 * count).astype(np.int32)
        class_id, pixel_count, region = integers.reshape(3, count)
        return cls(score, class_id, pixel_count, region, (height, width))


@dataclass(frozen=True, eq=False)
class Selection:
    """What to label in a pool of images.

    Args:
        image_scores: (images,) float64, in the order of the pool.
        chosen: for each image the ids (`RegionScores.region`) of its regions to label, the best first.
        order: (images,) int64, images by falling score, ties in the order of the pool.
        kept: the images to label, the beginning of `order`.
    """

    image_scores: np.ndarray
    chosen: List[np.ndarray]
    order: np.ndarray
    kept: np.ndarray


def rank_images(image_scores: List[float], chosen: List[np.ndarray], max_kept: int) -> Selection:
    """The selection that keeps the `max_kept` images of the highest scores."""
    scores = np.asarray(image_scores, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    return Selection(image_scores=scores, chosen=chosen, order=order, kept=order[:max_kept])
