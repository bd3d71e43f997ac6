"""Pictures of the regions to label: drawn over their image, and small enough to send."""

from typing import Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np

# [R, G, B] of regions whose class is not known.
UNKNOWN_COLOUR = (255, 214, 10)
# What the label arrays of this module hold where no region lies.
NO_REGION = -1

# What is left of the image outside the regions: so much of its grey, and so much of its own colours.
_GREY_LEFT, _COLOUR_LEFT = 0.3, 0.35
# The light line around all regions, which shows on the dimmed image whatever the colour of the outline within it.
_HALO = 235
# Lengths in pixels, as parts of the square root of the image's area: how thick an outline is, and how long the side of
# a square region must be to be seen without a ring around it.
_THICKNESS, _SMALL = 1 / 250, 1 / 40
# The longest side of an image that a JPEG file can hold and OpenCV writes.
_LONGEST_JPEG_SIDE = 65500


def region_outlines(labels: np.ndarray) -> np.ndarray:
    """(H, W) bool: the pixels of an (H, W) array of labels, or of a mask, that have a neighbour above, below, left or
    right with another value. The image's border is no neighbour."""
    outlines = np.zeros(labels.shape, bool)
    differs = labels[1:] != labels[:-1]
    outlines[1:] |= differs
    outlines[:-1] |= differs
    differs = labels[:, 1:] != labels[:, :-1]
    outlines[:, 1:] |= differs
    outlines[:, :-1] |= differs
    return outlines


def window_labels(size: Tuple[int, int], centres: Sequence[int], radius: int) -> np.ndarray:
    """Labels of square windows, as those of superpixels for `draw_overlay`.

    Args:
        size: (height, width) of the image in pixels.
        centres: row-major indices of the windows' centres.
        radius: of the windows in pixels; they are cut at the image's border.

    Returns:
        (H, W) int32: in each window the index of its centre, elsewhere `NO_REGION`.
    """
    height, width = size
    labels = np.full((height, width), NO_REGION, np.int32)
    for centre in centres:
        y, x = divmod(int(centre), width)
        labels[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = centre
    return labels


def draw_overlay(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    labels: Optional[np.ndarray] = None,
    classes: Optional[Mapping[int, int]] = None,
    palette: Sequence[Sequence[int]] = (),
) -> np.ndarray:
    """The regions to label as they are in the image, each outlined in the colour of its class, all within a thin light
    line; the rest is dimmed, and a ring is drawn around regions too small to be found otherwise.

    Args:
        image: (H, W, 3) uint8, BGR.
        mask: (H, W) uint8, 255 on the regions to label, else 0.
        labels: (H, W) integers from `NO_REGION`, which region a pixel belongs to, so that neighbours are told apart;
            looked at inside the mask alone. Without it, what hangs together in the mask is a region.
        classes: the class of each region to label, by its label.
        palette: [R, G, B] of each class. Regions without a class, or with one that has no colour, are outlined in
            `UNKNOWN_COLOUR`.

    Returns:
        (H, W, 3) uint8, BGR; the arguments stay as they are.
    """
    inside = mask > 0
    if labels is None:
        labels = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)[1]
    labels = np.where(inside, labels, NO_REGION).astype(np.int32)
    picture = _dimmed(image)
    picture[inside] = image[inside]
    unit = float(np.sqrt(inside.size))
    thickness = max(1, int(round(unit * _THICKNESS)))
    colours = _Colours(int(labels.max()) + 1, classes or {}, palette)
    picture[_around(inside, max(1, thickness // 2))] = _HALO
    line = _inner_outlines(labels, thickness)
    picture[line] = colours.of(labels[line])
    _draw_rings(picture, labels, side=max(3.0, unit * _SMALL), thickness=thickness, colours=colours)
    return picture


def thumbnail(image: np.ndarray, longest: int) -> np.ndarray:
    """A copy of an (H, W, 3) uint8 image with sides of at most `longest` pixels and the same proportions, by area
    interpolation. Smaller images keep their size."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image.copy()
    size = (max(1, int(round(width * scale))), max(1, int(round(height * scale))))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def encode_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """An (H, W, 3) uint8 BGR image as the bytes of a JPEG file; shrunk where a side is longer than such a file holds.

    Args:
        quality: 1 to 100.
    """
    image = thumbnail(image, _LONGEST_JPEG_SIDE)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode(".jpg", image, options)[1].tobytes()


class _Colours:
    """BGR colours of regions by their labels, 0 … length - 1."""

    def __init__(self, length: int, classes: Mapping[int, int], palette: Sequence[Sequence[int]]) -> None:
        self._table = np.empty((length, 3), np.uint8)
        self._table[:] = UNKNOWN_COLOUR[::-1]
        for label, class_id in classes.items():
            if 0 <= label < length and 0 <= class_id < len(palette):
                self._table[label] = tuple(palette[class_id])[::-1]

    def of(self, labels: np.ndarray) -> np.ndarray:
        return self._table[labels]


def _dimmed(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(grey, _GREY_LEFT, image, _COLOUR_LEFT, 0)


def _around(inside: np.ndarray, thickness: int) -> np.ndarray:
    """(H, W) bool: the pixels outside a mask and within `thickness` pixels of it."""
    return _grown(inside, thickness) & ~inside


def _grown(mask: np.ndarray, reach: int) -> np.ndarray:
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def _inner_outlines(labels: np.ndarray, thickness: int) -> np.ndarray:
    """(H, W) bool: the pixels of regions that lie within `thickness` pixels of their region's end, which the image's
    border is too. A region too small to have an inside beyond that has no outline: it would be hidden by it."""
    framed = np.pad(labels, 1, constant_values=NO_REGION)
    line = region_outlines(framed)[1:-1, 1:-1]
    line = _grown(line, thickness - 1)
    inside = labels != NO_REGION
    left = np.bincount(labels[inside & ~line], minlength=int(labels.max()) + 1)
    line &= inside
    line[line] = left[labels[line]] > 0
    return line


def _draw_rings(picture: np.ndarray, labels: np.ndarray, *, side: float, thickness: int, colours: _Colours) -> None:
    """Draw a ring around each region of fewer pixels than a square of `side` pixels."""
    y, x = np.nonzero(labels != NO_REGION)
    region = labels[y, x]
    count = np.bincount(region)
    small = np.flatnonzero((count > 0) & (count < side**2))
    centre_y = np.bincount(region, weights=y)[small] / count[small]
    centre_x = np.bincount(region, weights=x)[small] / count[small]
    radius = int(np.ceil(side))
    for label, cx, cy in zip(small, centre_x, centre_y):
        centre = (int(round(cx)), int(round(cy)))
        colour = tuple(int(channel) for channel in colours.of(label))
        cv2.circle(picture, centre, radius, (_HALO, _HALO, _HALO), thickness + 2, cv2.LINE_AA)
        cv2.circle(picture, centre, radius, colour, thickness, cv2.LINE_AA)
