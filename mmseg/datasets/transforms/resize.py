"""Transforms that change the size of images and masks, with the rounding of mmcv."""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from mmseg.datasets.transforms.arguments import generator, is_pair, is_positive, is_positive_int, is_range, require
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.errors import ConfigError

Size = Tuple[int, int]

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}


def rescaled_size(size: Size, scale: Union[float, Sequence[float]]) -> Size:
    """The size after resizing with the aspect ratio kept.

    Args:
        size: (width, height) in pixels.
        scale: a factor; or two edge lengths in any order, the largest box (long edge, short edge) to fit into.

    Returns:
        (width, height), each at least 1.
    """
    width, height = size
    if isinstance(scale, (int, float)):
        factor = float(scale)
    else:
        factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return max(int(width * factor + 0.5), 1), max(int(height * factor + 0.5), 1)


def resize(image: np.ndarray, size: Size, interpolation: str) -> np.ndarray:
    """`image` (H, W) or (H, W, C) at `size` (width, height); the same array when it has that size already."""
    if (image.shape[1], image.shape[0]) == tuple(size):
        return image
    return cv2.resize(image, tuple(size), interpolation=INTERPOLATIONS[interpolation])


def as_scales(owner: object, img_scale: Any) -> List[Size]:
    """`img_scale` of a config, one (width, height) or a list of them, as a list of tuples. Raises ConfigError."""
    scales = [img_scale] if is_pair(img_scale, is_positive) else img_scale
    require(
        isinstance(scales, (list, tuple)) and len(scales) > 0 and all(is_pair(scale, is_positive) for scale in scales),
        owner,
        "img_scale",
        "(width, height) or a list of such pairs",
        img_scale,
    )
    return [tuple(scale) for scale in scales]


@TRANSFORMS.register_module()
class Resize:
    """Resize the image (bilinear) and its masks (nearest).

    The scale is `sample["scale"]` where a transform before set it, otherwise drawn:

    - `ratio_range` and one `img_scale`: img_scale times a ratio drawn uniformly from the range;
    - `ratio_range` without `img_scale`: the image's own size times such a ratio;
    - one `img_scale`: that;
    - two `img_scale` and multiscale_mode "range": long and short edge drawn each from between those of the two;
    - several `img_scale` and multiscale_mode "value": one of them.

    Sets img, img_shape, pad_shape, scale, scale_factor (float32 w, h, w, h), keep_ratio.

    Args:
        img_scale: (width, height) in pixels or a list of them; with keep_ratio the box that the image is fitted into.
        multiscale_mode: "range" or "value".
        ratio_range: (low, high) factors.
        keep_ratio: keep the aspect ratio.
        min_size: with keep_ratio, the least length of the short edge afterwards.

    Raises:
        ConfigError: arguments that are none of these, or (when called) nothing says what the scale is.
    """

    def __init__(
        self,
        img_scale: Optional[Any] = None,
        multiscale_mode: str = "range",
        ratio_range: Optional[Sequence[float]] = None,
        keep_ratio: bool = True,
        min_size: Optional[int] = None,
    ) -> None:
        self.img_scale = None if img_scale is None else as_scales(self, img_scale)
        if ratio_range is not None:
            require(
                is_range(ratio_range, is_positive), self, "ratio_range", "(low, high) with 0 < low <= high", ratio_range
            )
            require(
                self.img_scale is None or len(self.img_scale) == 1,
                self,
                "img_scale",
                "a single (width, height) where ratio_range is given",
                img_scale,
            )
        require(multiscale_mode in ("range", "value"), self, "multiscale_mode", "'range' or 'value'", multiscale_mode)
        require(
            ratio_range is not None or multiscale_mode != "range" or self.img_scale is None or len(self.img_scale) <= 2,
            self,
            "img_scale",
            "one or two pairs for multiscale_mode 'range'",
            img_scale,
        )
        require(min_size is None or is_positive_int(min_size), self, "min_size", "a positive integer", min_size)
        self.multiscale_mode = multiscale_mode
        self.ratio_range = ratio_range
        self.keep_ratio = keep_ratio
        self.min_size = min_size

    def _draw_scale(self, image: np.ndarray, rng: np.random.Generator) -> Size:
        if self.ratio_range is not None:
            width, height = self.img_scale[0] if self.img_scale else (image.shape[1], image.shape[0])
            low, high = self.ratio_range
            ratio = rng.random() * (high - low) + low
            return max(int(width * ratio), 1), max(int(height * ratio), 1)
        if self.img_scale is None:
            raise ConfigError(
                "Resize: img_scale or ratio_range must be given where no MultiScaleFlipAug sets the scale"
            )
        if len(self.img_scale) == 1:
            return self.img_scale[0]
        if self.multiscale_mode == "value":
            return self.img_scale[int(rng.integers(len(self.img_scale)))]
        long_edges = [int(max(scale)) for scale in self.img_scale]
        short_edges = [int(min(scale)) for scale in self.img_scale]
        long_edge = int(rng.integers(min(long_edges), max(long_edges) + 1))
        short_edge = int(rng.integers(min(short_edges), max(short_edges) + 1))
        return long_edge, short_edge

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        image = sample["img"]
        height, width = image.shape[:2]
        if "scale" not in sample:
            sample["scale"] = self._draw_scale(image, generator(rng))
        if self.keep_ratio:
            if self.min_size is not None:
                short = max(min(sample["scale"]), self.min_size)
                tall = height > width
                sample["scale"] = (short * height / width, short) if tall else (short, short * width / height)
            size = rescaled_size((width, height), sample["scale"])
        else:
            size = (int(sample["scale"][0]), int(sample["scale"][1]))
        image = resize(image, size, "bilinear")
        for key in sample.get("seg_fields", []):
            sample[key] = resize(sample[key], size, "nearest")
        x_factor, y_factor = size[0] / width, size[1] / height
        sample["img"] = image
        sample["img_shape"] = sample["pad_shape"] = image.shape
        sample["scale_factor"] = np.array([x_factor, y_factor, x_factor, y_factor], dtype=np.float32)
        sample["keep_ratio"] = self.keep_ratio
        return sample


@TRANSFORMS.register_module()
class ResizeToMultiple:
    """Enlarge the image and its masks to the next size whose edges are multiples of a number.

    Args:
        size_divisor: the number, in pixels.
        interpolation: that of the image, a key of INTERPOLATIONS (default "bilinear"); masks are always nearest.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(self, size_divisor: int = 32, interpolation: Optional[str] = None) -> None:
        require(is_positive_int(size_divisor), self, "size_divisor", "a positive integer", size_divisor)
        interpolation = interpolation or "bilinear"
        require(
            interpolation in INTERPOLATIONS, self, "interpolation", f"one of {', '.join(INTERPOLATIONS)}", interpolation
        )
        self.size_divisor = size_divisor
        self.interpolation = interpolation

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        sample["img"] = resize(sample["img"], self._size(sample["img"]), self.interpolation)
        sample["img_shape"] = sample["pad_shape"] = sample["img"].shape
        for key in sample.get("seg_fields", []):
            sample[key] = resize(sample[key], self._size(sample[key]), "nearest")
        return sample

    def _size(self, image: np.ndarray) -> Size:
        height, width = (math.ceil(edge / self.size_divisor) * self.size_divisor for edge in image.shape[:2])
        return width, height


@TRANSFORMS.register_module()
class SegRescale:
    """Resize the masks alone (nearest).

    Args:
        scale_factor: of both edges.

    Raises:
        ConfigError: the factor is not a positive number.
    """

    def __init__(self, scale_factor: float = 1) -> None:
        require(is_positive(scale_factor), self, "scale_factor", "a positive number", scale_factor)
        self.scale_factor = scale_factor

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        for key in sample.get("seg_fields", []):
            mask = sample[key]
            sample[key] = resize(mask, rescaled_size((mask.shape[1], mask.shape[0]), self.scale_factor), "nearest")
        return sample
