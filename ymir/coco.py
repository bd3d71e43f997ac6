"""COCO annotations, read from and written for the platform: segmentations of every kind to masks, class maps to
annotations."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from pycocotools import mask as rle

from ymir.errors import DatasetError

UNCOVERED = 0


@dataclass(frozen=True)
class CocoFile:
    """A COCO json, arranged by the base name of its images."""

    path: Path
    category_names: Dict[int, str]
    annotations: Dict[str, List[Mapping[str, Any]]]


def read_coco(path: Path) -> CocoFile:
    """Read a COCO json.

    Raises:
        DatasetError: the file cannot be read, or lacks what every COCO json has.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            content = json.load(stream)
    except OSError as error:
        raise DatasetError(f"cannot read the annotation file {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"the annotation file {path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"the annotation file {path} holds a {type(content).__name__}, but must be a COCO object")
    for section in ("images", "categories"):
        if not isinstance(content.get(section), list):
            raise DatasetError(f"the annotation file {path} has no list {section!r}")
    try:
        names = {image["id"]: os.path.basename(str(image["file_name"])) for image in content["images"]}
        categories = {category["id"]: str(category["name"]).strip() for category in content["categories"]}
    except (KeyError, TypeError) as error:
        raise DatasetError(f"the annotation file {path}: an image or category has no {error}") from error
    annotations: Dict[str, List[Mapping[str, Any]]] = {name: [] for name in names.values()}
    for annotation in content.get("annotations") or []:
        if not isinstance(annotation, dict) or "image_id" not in annotation or "category_id" not in annotation:
            raise DatasetError(
                f"the annotation file {path}: an annotation has no image_id or category_id: {_shown(annotation)}"
            )
        name = names.get(annotation["image_id"])
        if name is not None:
            annotations[name].append(annotation)
    return CocoFile(path=Path(path), category_names=categories, annotations=annotations)


def draw_label_mask(coco: CocoFile, image_name: str, shape: Tuple[int, int], class_names: Sequence[str]) -> np.ndarray:
    """The label mask of one image: (H, W) uint8, 0 where no annotation of a known class lies, i + 1 where class i does.

    Later annotations lie over earlier ones. An image the file does not know has no annotation.

    Raises:
        DatasetError: a segmentation is of no known form or does not fit the image.
    """
    mask = np.full(shape, UNCOVERED, np.uint8)
    position = {name: index + 1 for index, name in enumerate(class_names)}
    for annotation in coco.annotations.get(image_name, []):
        value = position.get(coco.category_names.get(annotation["category_id"], ""))
        if value is None:
            continue
        where = f"{coco.path}: annotation {annotation.get('id')} of {image_name}"
        mask[decode_segmentation(annotation.get("segmentation"), shape, where)] = value
    return mask


def decode_segmentation(segmentation: Any, shape: Tuple[int, int], where: str) -> np.ndarray:
    """A COCO segmentation as a (H, W) bool array: compressed or list RLE, or polygons.

    Raises:
        DatasetError: it is none of these, or is not of the image's size; the message starts with `where`.
    """
    height, width = shape
    if isinstance(segmentation, dict):
        size, counts = segmentation.get("size"), segmentation.get("counts")
        if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
            raise DatasetError(
                f"{where}: the segmentation's size is {_shown(size)}, but the image is {height} high and {width} wide"
            )
        if isinstance(counts, list):
            if not all(type(n) is int and n >= 0 for n in counts) or sum(counts) != height * width:
                raise DatasetError(
                    f"{where}: the run lengths must be whole numbers that add up to {height * width} pixels"
                )
            runs = np.arange(len(counts)) % 2 == 1
            return np.repeat(runs, counts).reshape(width, height).T
        if isinstance(counts, str):
            # The decoder trusts its input, so the runs are checked by its own reading of their extent first.
            if _compressed_pixels(counts) != height * width:
                raise DatasetError(f"{where}: the compressed run lengths do not add up to {height * width} pixels")
            return rle.decode({"size": [height, width], "counts": counts.encode("ascii")}).astype(bool)
    if isinstance(segmentation, list):
        if not segmentation:
            return np.zeros(shape, bool)
        polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
        for polygon in polygons:
            if (
                not isinstance(polygon, list)
                or len(polygon) < 6
                or len(polygon) % 2
                or not all(type(v) in (int, float) and abs(v) < 1e7 for v in polygon)
            ):
                raise DatasetError(
                    f"{where}: a polygon must be a list of at least three x, y pairs, not {_shown(polygon)}"
                )
        return rle.decode(rle.merge(rle.frPyObjects(polygons, height, width))).astype(bool)
    raise DatasetError(f"{where}: the segmentation must be RLE or polygons, not {_shown(segmentation)}")


def encode_class_map(class_map: np.ndarray, categories: Mapping[int, int]) -> List[Dict[str, Any]]:
    """One COCO annotation, without its ids, for each class that occurs.

    Args:
        class_map: (H, W), class indices.
        categories: category id of each class index that is to be written; others are left out.

    Returns:
        Dicts with category_id, bbox [x, y, w, h], area, iscrowd and compressed segmentation, in the order of the
        class indices.
    """
    annotations = []
    for index in np.unique(class_map):
        if int(index) not in categories:
            continue
        encoded = rle.encode(np.asfortranarray(class_map == index, dtype=np.uint8))
        annotations.append(
            {
                "category_id": categories[int(index)],
                "bbox": [float(v) for v in rle.toBbox(encoded)],
                "area": int(rle.area(encoded)),
                "iscrowd": 0,
                "segmentation": {
                    "size": [int(n) for n in encoded["size"]],
                    "counts": encoded["counts"].decode("ascii"),
                },
            }
        )
    return annotations


def _compressed_pixels(counts: str) -> int:
    """How many pixels a compressed RLE covers; -1 where it is not one.

    COCO writes each run as digits of 5 bits, least significant first, in characters from '0' on; bit 32 means that
    more follow, bit 16 of the last
    digit is the sign. From the fourth run on, a number is the difference to the run before the last.
    """
    runs: List[int] = []
    value = shift = 0
    for character in counts:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 30:
            return -1
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            return -1
        runs.append(value)
        value = shift = 0
    return sum(runs) if shift == 0 else -1


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
