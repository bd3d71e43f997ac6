"""Label masks as COCO annotations, in every form that a YMIR task may hold.

Polygons run along the edges of the pixels, so that pycocotools draws exactly the mask they were made from.
"""

from typing import Any, Dict, List, Mapping, Optional

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from tools.street_canvas import BUILDING, CAR, PAVEMENT, PERSON, POLE, ROAD, SKY, TREE, UNLABELLED

_ORDER = (SKY, BUILDING, PAVEMENT, ROAD, TREE, POLE, CAR, PERSON)  # later annotations lie over earlier ones
_THINGS = (CAR, PERSON)  # one annotation for each connected part; the other classes have one for all of it


def compressed_rle(mask: np.ndarray) -> Dict[str, Any]:
    """COCO's compressed run lengths, with text in `counts`, of a mask (H, W)."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in mask.shape], "counts": encoded["counts"].decode("ascii")}


def list_rle(mask: np.ndarray) -> Dict[str, Any]:
    """COCO's uncompressed run lengths of a mask (H, W): column by column, beginning with the pixels outside."""
    flat = np.concatenate([[0], np.asarray(mask, dtype=np.int8).ravel(order="F")])
    turns = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], turns, [mask.size]]))
    return {"size": [int(side) for side in mask.shape], "counts": [int(run) for run in runs]}


def polygons(mask: np.ndarray) -> Optional[List[List[float]]]:
    """Polygons [x0, y0, x1, y1, …] that pycocotools draws as exactly this mask (H, W); None when it has holes."""
    # In a picture twice as large, the outline of a pixel runs through 2x and 2x + 1: halved, these are its two edges.
    double = np.repeat(np.repeat(np.asarray(mask, dtype=np.uint8), 2, axis=0), 2, axis=1)
    contours = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[-2]
    outlines = []
    for contour in contours:
        corners = (contour.reshape(-1, 2) + 1) // 2
        corners = corners[(corners != np.roll(corners, 1, axis=0)).any(axis=1)]
        before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
        straight = (before * after[:, ::-1] * (1, -1)).sum(axis=1) == 0
        outlines.append([float(value) for value in corners[~straight].ravel()])
    if not outlines or min(len(outline) for outline in outlines) < 6:
        return None
    drawn = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, *mask.shape)))
    return outlines if np.array_equal(drawn > 0, mask > 0) else None


def annotate(
    label: np.ndarray, *, image_id: int, first_id: int, category_ids: Mapping[int, int], other_id: Optional[int] = None
) -> List[Dict[str, Any]]:
    """The annotations of one image.

    label: (H, W) of labels and UNLABELLED. category_ids: from label to category. other_id: a category for the
    unlabelled pixels that touch the bottom of the picture; None leaves them out.
    """
    masks = []
    for place, index in enumerate(_ORDER):
        visible = label == index
        if not visible.any():
            continue
        if index in _THINGS:
            count, parts = cv2.connectedComponents(visible.astype(np.uint8), connectivity=8)
            masks += [(category_ids[index], parts == part, True) for part in range(1, count)]
        else:
            covered = np.isin(label, _ORDER[place + 1 :])
            masks.append((category_ids[index], visible | (_surroundings(visible) & covered), index == POLE))
    if other_id is not None:
        _, parts = cv2.connectedComponents((label == UNLABELLED).astype(np.uint8))
        lowest = np.unique(parts[-1])
        other = np.isin(parts, lowest[lowest > 0])
        if other.any():
            masks.append((other_id, other, False))

    annotations = []
    for number, (category_id, mask, outlined) in enumerate(masks):
        segmentation = polygons(mask) if outlined else None
        if segmentation is None:
            segmentation = (compressed_rle, list_rle)[(image_id + number) % 2](mask)
        is_list_rle = isinstance(segmentation, dict) and isinstance(segmentation["counts"], list)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
        annotations.append(
            {
                "id": first_id + number,
                "image_id": image_id,
                "category_id": category_id,
                "bbox": [int(value) for value in box],
                "area": int(mask.sum()),
                "iscrowd": int(is_list_rle),
                "segmentation": segmentation,
            }
        )
    return annotations


def _surroundings(mask: np.ndarray) -> np.ndarray:
    """The mask with its gaps and bays closed, as somebody draws it who annotates what stands before it later."""
    side = max(3, min(mask.shape) // 8) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
