"""Four images in one (the mosaic of YOLOv4, Bochkovskiy et al., arXiv:2004.10934)."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from mmseg.datasets.transforms.arguments import (
    generator,
    is_fill,
    is_int,
    is_pair,
    is_positive,
    is_positive_int,
    is_probability,
    is_range,
    require,
)
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.datasets.transforms.geometric import Fill
from mmseg.datasets.transforms.resize import resize
from mmseg.errors import ConfigError


@TRANSFORMS.register_module()
class RandomMosaic:
    """Put the sample and three others around a random point of a canvas, in the pipeline of a MultiImageMixDataset.

    The canvas has twice the edges of `img_scale`. Each image is scaled, with its aspect ratio kept, to fit into
    `img_scale` and lies with one corner at the point: the sample itself left above it, the others right above, left
    below and right below. What does not fit on the canvas is cut off, what stays empty is filled.

    Sets img_shape, pad_shape, ori_shape.

    Args:
        prob: the probability of a mosaic; otherwise the sample stays as it is.
        img_scale: (height, width) in pixels.
        center_ratio_range: (low, high) from which both coordinates of the point are drawn, as shares of img_scale.
        pad_val: fills the image; one number for all channels or one for each.
        seg_pad_val: fills the masks.

    Raises:
        ConfigError: an argument is none of these, or (when called) it is not in such a pipeline.
    """

    def __init__(
        self,
        prob: float,
        img_scale: Sequence[int] = (640, 640),
        center_ratio_range: Sequence[float] = (0.5, 1.5),
        pad_val: Fill = 0,
        seg_pad_val: int = 255,
    ) -> None:
        require(is_probability(prob), self, "prob", "a number from 0 to 1", prob)
        require(is_pair(img_scale, is_positive_int), self, "img_scale", "(height, width), positive integers", img_scale)
        valid = is_range(center_ratio_range, is_positive) and center_ratio_range[1] < 2
        require(valid, self, "center_ratio_range", "(low, high) with 0 < low <= high < 2", center_ratio_range)
        require(is_fill(pad_val), self, "pad_val", "a number or one number a channel", pad_val)
        valid = is_int(seg_pad_val) and 0 <= seg_pad_val <= 255
        require(valid, self, "seg_pad_val", "an integer from 0 to 255", seg_pad_val)
        self.prob = prob
        self.img_scale = tuple(img_scale)
        self.center_ratio_range = tuple(center_ratio_range)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def mix_indices(self, length: int, rng: np.random.Generator) -> List[int]:
        """The three further images, of a data set of `length`."""
        return [int(index) for index in rng.integers(length, size=3)]

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        if len(sample.get("mix_results", ())) != 3:
            raise ConfigError("RandomMosaic: it must be in the pipeline of a MultiImageMixDataset, not of its dataset")
        rng = generator(rng)
        if not rng.random() < self.prob:
            return sample
        height, width = self.img_scale
        x, y = (int(rng.uniform(*self.center_ratio_range) * edge) for edge in (width, height))
        parts: List[Mapping[str, Any]] = [sample, *sample["mix_results"]]
        for key in sample.get("seg_fields", []):
            masks = self._each(parts, key)
            sample[key] = self._mosaic(masks, (x, y), self.seg_pad_val, "nearest")
        sample["img"] = self._mosaic(self._each(parts, "img"), (x, y), self.pad_val, "bilinear")
        sample["img_shape"] = sample["pad_shape"] = sample["ori_shape"] = sample["img"].shape
        return sample

    @staticmethod
    def _each(parts: Sequence[Mapping[str, Any]], key: str) -> List[np.ndarray]:
        arrays = [part[key] for part in parts]
        for array, part in zip(arrays, parts):
            if array.shape[2:] != arrays[0].shape[2:]:
                raise ConfigError(
                    f"RandomMosaic: {part.get('filename', 'an image')} has another number of channels than "
                    f"{parts[0].get('filename', 'the first')}, so they cannot be in one picture"
                )
        return arrays

    def _mosaic(
        self, images: Sequence[np.ndarray], center: Tuple[int, int], fill: Fill, interpolation: str
    ) -> np.ndarray:
        height, width = self.img_scale
        canvas = np.empty((2 * height, 2 * width) + images[0].shape[2:], images[0].dtype)
        canvas[:] = fill
        x, y = center
        for number, image in enumerate(images):
            factor = min(height / image.shape[0], width / image.shape[1])
            # Rounded down, as mmsegmentation does here and nowhere else.
            size = (max(int(image.shape[1] * factor), 1), max(int(image.shape[0] * factor), 1))
            image = resize(image, size, interpolation)
            rows, image_rows = _along(y, image.shape[0], 2 * height, before=number < 2)
            columns, image_columns = _along(x, image.shape[1], 2 * width, before=number % 2 == 0)
            canvas[rows, columns] = image[image_rows, image_columns]
        return canvas


def _along(center: int, length: int, limit: int, *, before: bool) -> Tuple[slice, slice]:
    """Where an image of some length lies along one axis of the canvas, and which part of the image that is.

    Args:
        center: coordinate of the point at which it ends (`before`) or begins.
        limit: length of the canvas.
    """
    if before:
        kept = min(length, center)
        return slice(center - kept, center), slice(length - kept, length)
    kept = min(length, limit - center)
    return slice(center, center + kept), slice(0, kept)
