"""What mining says about regions: of one image, and of the whole pool."""

import struct
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, Optional, Protocol, Tuple

import numpy as np

from ymir.errors import TaskError

_HEADER = struct.Struct("<4sIIII")
_MAGIC = b"RGS2"


@dataclass(frozen=True, eq=False)
class RegionScores:
    """The scored regions of one image, in compact arrays of equal length.

    Args:
        score: float64, the higher the more worth labelling.
        class_id: int32, the region's class.
        pixel_count: int32, the number of pixels in the region.
        region: int32, what the region is: the label of a superpixel, the row-major index of a window's centre, a
            class, or 0 for the whole image.
        size: (height, width) of the image in pixels.
        features: (D,) float32, the network's features pooled over the image, where the algorithm wants them.
    """

    score: np.ndarray
    class_id: np.ndarray
    pixel_count: np.ndarray
    region: np.ndarray
    size: Tuple[int, int]
    features: Optional[np.ndarray] = None

    def __len__(self) -> int:
        return len(self.score)

    def take(self, index: np.ndarray, score: np.ndarray) -> "RegionScores":
        """The regions at `index`, in that order, with the scores `score`."""
        return RegionScores(
            score=score,
            class_id=self.class_id[index],
            pixel_count=self.pixel_count[index],
            region=self.region[index],
            size=self.size,
            features=self.features,
        )

    def to_bytes(self) -> bytes:
        """A header of 20 bytes, then 20 bytes for each region and 4 for each feature."""
        features = np.zeros(0) if self.features is None else self.features
        header = _HEADER.pack(_MAGIC, len(self), *self.size, len(features))
        integers = (self.class_id, self.pixel_count, self.region)
        return b"".join(
            [header, self.score.astype("<f8").tobytes()]
            + [column.astype("<i4").tobytes() for column in integers]
            + [features.astype("<f4").tobytes()]
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "RegionScores":
        """The region scores that `to_bytes` wrote. Raises TaskError where `data` is something else."""
        magic, count, height, width, num_features = (
            _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (b"", 0, 0, 0, 0)
        )
        if magic != _MAGIC or len(data) != _HEADER.size + 20 * count + 4 * num_features:
            raise TaskError(f"{len(data)} bytes were expected to be region scores, but are not")
        score = np.frombuffer(data, "<f8", count, _HEADER.size).astype(np.float64)
        integers = np.frombuffer(data, "<i4", 3 * count, _HEADER.size + 8 * count).astype(np.int32)
        class_id, pixel_count, region = integers.reshape(3, count)
        features = None
        if num_features:
            features = np.frombuffer(data, "<f4", num_features, _HEADER.size + 20 * count).astype(np.float32)
        return cls(score, class_id, pixel_count, region, (height, width), features)


class Pool(Protocol):
    """The region scores of all candidates in the order of the index. It is iterated over a few times and one element
    is looked at at a time, so that they may be read as they are asked for."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[RegionScores]: ...


# From an image's position in the pool and its regions to those of them to label, the best first, with the scores that
# the pool gives them.
ChooseRegions = Callable[[int, RegionScores], RegionScores]


@dataclass(frozen=True, eq=False)
class Selection:
    """What to label in a pool of images.

    Args:
        image_scores: (images,) float64, in the order of the pool.
        order: (images,) int64, images by falling score.
        kept: the images to label, the beginning of `order`.
        choose: which of an image's regions are to be labelled.
        facts: what explains the selection to people, by names in words: whole numbers, floats, texts, and for
            "class weights" a dict from class to weight.
    """

    image_scores: np.ndarray
    order: np.ndarray
    kept: np.ndarray
    choose: ChooseRegions
    facts: Dict[str, Any] = field(default_factory=dict)

    def chosen_regions(self, image_position: int, regions: RegionScores) -> RegionScores:
        """The regions to label of the image at `image_position` of the pool, the best first, with the scores that the
        image's score is made of. `regions` is the pool's element at that position."""
        return self.choose(image_position, regions)

    def chosen(self, image_position: int, regions: RegionScores) -> np.ndarray:
        """The ids (`RegionScores.region`) of `chosen_regions`."""
        return self.chosen_regions(image_position, regions).region


def rank_images(
    image_scores: np.ndarray, choose: ChooseRegions, *, max_kept: int, facts: Optional[Dict[str, Any]] = None
) -> Selection:
    """The selection that keeps the `max_kept` images of the highest scores, those of equal scores in their order."""
    order = np.argsort(-image_scores, kind="stable")
    return Selection(image_scores, order, order[:max_kept], choose, facts or {})
