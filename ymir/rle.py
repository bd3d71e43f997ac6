"""Class maps to COCO annotations, in one pass over the runs of the whole map."""

from typing import Any, Dict, List, Mapping

import cv2
import numpy as np
from pycocotools import mask as compression


def encode_class_map(class_map: np.ndarray, categories: Mapping[int, int]) -> List[Dict[str, Any]]:
    """One COCO annotation, without its ids, for each class that occurs.

    The runs of equal pixels down the columns are found once; those of a class, with the gaps between them, are its
    COCO run lengths.

    Args:
        class_map: (H, W) uint8, class indices.
        categories: category id of each class index that is to be written; others are left out.

    Returns:
        Dicts with category_id, bbox [x, y, w, h], area, iscrowd and compressed segmentation, in the order of the
        class indices.

    Raises:
        ValueError: the class map is not of that shape and type.
    """
    if class_map.ndim != 2 or class_map.dtype != np.uint8:
        raise ValueError(f"a class map must be (H, W) and uint8, not {class_map.shape} and {class_map.dtype}")
    if class_map.size == 0:
        return []
    height, width = class_map.shape
    pixels = _down_the_columns(class_map)
    starts = np.concatenate([[0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1])
    ends = np.append(starts[1:], pixels.size)
    run_class = pixels[starts]
    by_class = np.argsort(run_class, kind="stable")
    starts, ends = starts[by_class], ends[by_class]
    run_count = np.bincount(run_class, minlength=256)
    first_run = np.cumsum(run_count) - run_count
    found = [int(index) for index in np.flatnonzero(run_count) if int(index) in categories]
    if not found:
        return []
    parts = [slice(first_run[index], first_run[index] + run_count[index]) for index in found]
    uncompressed = [
        {"size": [height, width], "counts": _run_lengths(starts[part], ends[part], pixels.size)} for part in parts
    ]
    return [
        {
            "category_id": categories[index],
            "bbox": _box(starts[part], ends[part], height),
            "area": int((ends[part] - starts[part]).sum()),
            "iscrowd": 0,
            "segmentation": {"size": [height, width], "counts": compressed["counts"].decode("ascii")},
        }
        for index, part, compressed in zip(found, parts, compression.frPyObjects(uncompressed, height, width))
    ]


def _down_the_columns(class_map: np.ndarray) -> np.ndarray:
    """All pixels, one column after the other. OpenCV transposes several times as fast as numpy."""
    if class_map.flags.f_contiguous:
        return class_map.reshape(-1, order="F")
    return cv2.transpose(np.ascontiguousarray(class_map)).reshape(-1)


def _run_lengths(starts: np.ndarray, ends: np.ndarray, num_pixels: int) -> np.ndarray:
    """COCO's run lengths of pixels out of the class and in it by turns: the first may be 0, the last may not."""
    bounds = np.empty(2 * len(starts) + 1, np.int64)
    bounds[0:-1:2], bounds[1::2], bounds[-1] = starts, ends, num_pixels
    lengths = np.diff(bounds, prepend=0)
    return lengths if lengths[-1] else lengths[:-1]


def _box(starts: np.ndarray, ends: np.ndarray, height: int) -> List[float]:
    left, first_row = np.divmod(starts, height)
    right, last_row = np.divmod(ends - 1, height)
    # A run that goes on in the next column has the last row of one and the first row of the other.
    if (left != right).any():
        top, bottom = 0, height - 1
    else:
        top, bottom = first_row.min(), last_row.max()
    return [float(value) for value in (left[0], top, right[-1] - left[0] + 1, bottom - top + 1)]
