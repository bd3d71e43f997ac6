"""COCO segmentations of every kind to masks. What they hold is checked first, because pycocotools trusts its input."""

from typing import Any, List, Optional, Tuple, Union

import numpy as np
from pycocotools import mask as rle

from ymir.errors import DatasetError

# Coordinates beyond this are no positions in an image.
_FARTHEST = 1e7
# pycocotools keeps five points for each pixel along an outline, counted in 32 bits.
_LONGEST_OUTLINE = 1 << 22
# Of a compressed run length, which has 32 bits.
_MOST_DIGITS = 7

_Runs = np.ndarray
_Polygons = List[List[float]]


def decode_segmentation(segmentation: Any, shape: Tuple[int, int], where: str) -> np.ndarray:
    """A COCO segmentation as a (H, W) bool array: compressed or list RLE, or polygons.

    Raises:
        DatasetError: it is none of these, or is not of the image's size; the message starts with `where`.
    """
    parsed = _parse(segmentation, shape, where)
    height, width = shape
    if isinstance(parsed, np.ndarray):
        return np.repeat(np.arange(len(parsed)) % 2 == 1, parsed).reshape(width, height).T
    if not parsed:
        return np.zeros(shape, bool)
    return rle.decode(rle.merge(rle.frPyObjects(parsed, height, width))).astype(bool)


def check_segmentation(segmentation: Any, shape: Tuple[int, int], where: str) -> None:
    """Raise what `decode_segmentation` would raise, without making the mask."""
    _parse(segmentation, shape, where)


def _parse(segmentation: Any, shape: Tuple[int, int], where: str) -> Union[_Runs, _Polygons]:
    if isinstance(segmentation, dict):
        return _parse_runs(segmentation, shape, where)
    if isinstance(segmentation, list):
        polygons = segmentation if not segmentation or isinstance(segmentation[0], list) else [segmentation]
        for polygon in polygons:
            _check_polygon(polygon, where)
        return polygons
    raise DatasetError(f"{where}: the segmentation must be RLE or polygons, not {shown(segmentation)}")


def _parse_runs(segmentation: Any, shape: Tuple[int, int], where: str) -> _Runs:
    height, width = shape
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(counts, (list, str)):
        raise DatasetError(f"{where}: the segmentation must be RLE or polygons, not {shown(segmentation)}")
    if not isinstance(size, list) or size != [height, width]:
        raise DatasetError(
            f"{where}: the segmentation's size is {shown(size)}, but the image is {height} high and {width} wide"
        )
    if isinstance(counts, str):
        runs = _decompress(counts)
        if runs is None or _total(runs, height * width) != height * width:
            raise DatasetError(f"{where}: the compressed run lengths do not add up to {height * width} pixels")
        return runs
    if not all(type(n) is int and n >= 0 for n in counts) or sum(counts) != height * width:
        raise DatasetError(f"{where}: the run lengths must be whole numbers that add up to {height * width} pixels")
    return np.array(counts, np.int64)


def _check_polygon(polygon: Any, where: str) -> None:
    if (
        not isinstance(polygon, list)
        or len(polygon) < 6
        or len(polygon) % 2
        or not all(type(v) in (int, float) and abs(v) < _FARTHEST for v in polygon)
    ):
        raise DatasetError(f"{where}: a polygon must be a list of at least three x, y pairs, not {shown(polygon)}")
    points = np.array(polygon, np.float64).reshape(-1, 2)
    outline = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum()
    if outline > _LONGEST_OUTLINE:
        raise DatasetError(
            f"{where}: the outline of a polygon is {outline:.0f} pixels long, but at most {_LONGEST_OUTLINE} are "
            f"allowed"
        )


def _decompress(counts: str) -> Optional[np.ndarray]:
    """The run lengths of a compressed RLE, int64; None where it is not one.

    COCO writes each run as digits of 5 bits, least significant first, in characters from '0' on; bit 32 means that
    more follow, bit 16 of the last digit is the sign. From the fourth run on, a number is the difference to the run
    before the last.
    """
    if not counts.isascii():
        return None
    digits = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    if not len(digits):
        return digits
    last = np.flatnonzero(digits & 32 == 0)
    if digits.min() < 0 or digits.max() > 63 or not len(last) or last[-1] != len(digits) - 1:
        return None
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > _MOST_DIGITS:
        return None
    place = np.arange(len(digits)) - np.repeat(first, lengths)
    values = np.add.reduceat((digits & 31) << 5 * place, first)
    values -= np.where(digits[last] & 16, np.int64(1) << 5 * lengths, 0)
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs


def _total(runs: np.ndarray, expected: int) -> int:
    """The sum of the runs, or -1 where one of them alone is out of the question."""
    if not len(runs):
        return 0
    return int(runs.sum()) if runs.min() >= 0 and runs.max() <= expected else -1


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
