"""Camera, canvas and noise that the synthetic street scenes are drawn with.

Colours are BGR floats in 0 … 255. World coordinates are metres: X to the right, Y up from the ground, Z away from the
camera.
"""

from dataclasses import dataclass
from typing import Sequence, Tuple

import cv2
import numpy as np

CLASSES = ("sky", "building", "road", "pavement", "tree", "car", "person", "pole")
"""The classes of the scenes; the index is the label."""
SKY, BUILDING, ROAD, PAVEMENT, TREE, CAR, PERSON, POLE = range(len(CLASSES))
UNLABELLED = 255
"""Label of pixels that no annotation covers."""

Colour = Sequence[float]

_NEAREST = 0.6  # metres; what is closer is pulled to this plane, so that nothing is divided by zero
_FARTHEST_PIXEL = 20_000


@dataclass(frozen=True)
class Camera:
    """Pinhole camera over a flat street that bends as a parabola.

    focal: in pixels. centre_x, horizon: the vanishing point, pixels. x, height: where the camera stands, metres.
    bend: sideways shift of the street at the depth Z is `bend * Z**2`, metres.
    """

    focal: float
    centre_x: float
    horizon: float
    x: float
    height: float
    bend: float

    def project(self, points: Sequence[Sequence[float]]) -> np.ndarray:
        """World points (N, 3) to pixels (N, 2), float64."""
        points = np.asarray(points, dtype=np.float64)
        z = np.maximum(points[:, 2], _NEAREST)
        u = self.centre_x + self.focal * (points[:, 0] - self.x + self.bend * z * z) / z
        v = self.horizon + self.focal * (self.height - points[:, 1]) / z
        return np.stack([u, v], axis=1)

    def pixels_per_metre(self, z: float) -> float:
        """Size in pixels of one metre at the depth z."""
        return self.focal / max(z, _NEAREST)

    def ground(self, width: int, height: int) -> Tuple[int, np.ndarray, np.ndarray]:
        """First row that shows the ground, and X (rows, width) and Z (rows, 1) of each pixel from there down."""
        first = min(max(int(np.ceil(self.horizon + 1)), 0), height - 1)
        v = np.arange(first, height, dtype=np.float32)[:, None] + 0.5
        z = self.focal * self.height / (v - self.horizon)
        u = np.arange(width, dtype=np.float32)[None] + 0.5
        x = (u - self.centre_x) * z / self.focal + self.x - self.bend * z * z
        return first, x, z


class Canvas:
    """A picture and its labels, painted from far to near.

    image: (H, W, 3) uint8 BGR; label: (H, W) uint8. What is far away fades into the colour of the haze.
    """

    def __init__(self, width: int, height: int, haze: Colour, visibility: float) -> None:
        self.image = np.zeros((height, width, 3), np.uint8)
        self.label = np.full((height, width), UNLABELLED, np.uint8)
        self._haze = np.asarray(haze, np.float32)
        self._visibility = visibility

    @property
    def width(self) -> int:
        return self.label.shape[1]

    @property
    def height(self) -> int:
        return self.label.shape[0]

    def hazed(self, colour: np.ndarray, z: np.ndarray) -> np.ndarray:
        """The colours (..., 3) as they look from the distance z (...) in metres."""
        clear = np.exp(-np.asarray(z, np.float32) / self._visibility)[..., None]
        return np.asarray(colour, np.float32) * clear + self._haze * (1 - clear)

    def fill(self, polygon: np.ndarray, colour: Colour, label: int, z: float) -> None:
        """Fill the polygon (N, 2), in pixels, which lies at the depth z."""
        points = [_to_int(polygon)]
        shown = np.clip(self.hazed(np.asarray(colour, np.float32), np.float32(z)), 0, 255)
        cv2.fillPoly(self.image, points, [float(value) for value in shown])
        cv2.fillPoly(self.label, points, int(label))

    def fill_hull(self, points: np.ndarray, colour: Colour, label: int, z: float) -> None:
        """Fill the convex hull of the points (N, 2)."""
        hull = cv2.convexHull(np.asarray(points, np.float32).reshape(-1, 1, 2))
        self.fill(hull.reshape(-1, 2), colour, label, z)

    def ellipse(self, centre: Sequence[float], radii: Sequence[float], colour: Colour, label: int, z: float) -> None:
        """Fill an ellipse with axes along the picture's."""
        angles = np.linspace(0, 2 * np.pi, 25)[:-1]
        polygon = np.stack([centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)], axis=1)
        self.fill(polygon, colour, label, z)

    def shade(self, polygon: np.ndarray, factor: float) -> None:
        """Darken what is under the polygon, without a change of its label."""
        polygon = _to_int(polygon)
        x0, y0 = np.maximum(polygon.min(axis=0), 0)
        x1, y1 = np.minimum(polygon.max(axis=0) + 1, (self.width, self.height))
        if x0 >= x1 or y0 >= y1:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [polygon - (x0, y0)], 255)
        sigma = max(0.5, 0.04 * (y1 - y0))
        weight = 1 - (1 - factor) * cv2.GaussianBlur(mask, (0, 0), sigma)[..., None] / 255.0
        part = self.image[y0:y1, x0:x1]
        part[:] = (part * weight).astype(np.uint8)

    def texture(self, texture: np.ndarray, quad: np.ndarray, label: int) -> None:
        """Lay a texture (h, w, 3) on the quad (4, 2): its corners top left, top right, bottom right, bottom left."""
        x0, y0 = np.maximum(np.floor(quad.min(axis=0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(quad.max(axis=0)).astype(int), (self.width, self.height))
        if x0 >= x1 or y0 >= y1:
            return
        rows, columns = texture.shape[:2]
        corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
        warp = cv2.getPerspectiveTransform(corners, (quad - (x0, y0)).astype(np.float32))
        size = (int(x1 - x0), int(y1 - y0))
        source = np.clip(texture, 0, 255).astype(np.uint8)
        seen = cv2.warpPerspective(source, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(size[::-1], np.uint8)
        cv2.fillPoly(mask, [_to_int(quad - (x0, y0))], 1)
        self.paint(int(x0), int(y0), mask > 0, seen, label)

    def paint(self, x0: int, y0: int, mask: np.ndarray, colours: np.ndarray, label: int) -> None:
        """Paint colours (h, w, 3) where mask (h, w) is true, with the mask's top left pixel at (x0, y0)."""
        left, top = max(x0, 0), max(y0, 0)
        right, bottom = min(x0 + mask.shape[1], self.width), min(y0 + mask.shape[0], self.height)
        if left >= right or top >= bottom:
            return
        part = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        chosen = mask[part]
        self.image[top:bottom, left:right][chosen] = np.clip(colours[part][chosen], 0, 255).astype(np.uint8)
        self.label[top:bottom, left:right][chosen] = label


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3) -> np.ndarray:
    """Cloud-like noise (height, width), float32, about -1 … 1; `cell` is the size in pixels of its largest lumps."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    for _ in range(octaves):
        rows, columns = int(np.ceil(height / cell)) + 2, int(np.ceil(width / cell)) + 2
        grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        weight *= 0.5
        cell = max(cell / 2, 1.0)
    return total


def _to_int(polygon: np.ndarray) -> np.ndarray:
    return np.clip(np.round(polygon), -_FARTHEST_PIXEL, _FARTHEST_PIXEL).astype(np.int32)
