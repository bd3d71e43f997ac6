"""Transforms that move, cut or cover pixels of images and masks alike."""

from typing import Any, Dict, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from mmseg.datasets.transforms.arguments import (
    generator,
    is_fill,
    is_int,
    is_number,
    is_pair,
    is_positive,
    is_positive_int,
    is_probability,
    is_range,
    require,
)
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.errors import ConfigError

Box = Tuple[int, int, int, int]
Fill = Union[float, Sequence[float]]


@TRANSFORMS.register_module()
class RandomCrop:
    """Cut a random window out of the image and its masks.

    Args:
        crop_size: (height, width) in pixels; an edge that is shorter stays as it is.
        cat_max_ratio: below 1, the window is drawn again, up to ten times, until it holds at least two classes and
            none of them has this share or more of its pixels that are not ignored. The last window drawn is taken in
            any case.
        ignore_index: the label that does not count.

    Raises:
        ConfigError: an argument is none of these.
    """

    TRIES = 10

    def __init__(self, crop_size: Sequence[int], cat_max_ratio: float = 1.0, ignore_index: int = 255) -> None:
        require(is_pair(crop_size, is_positive_int), self, "crop_size", "(height, width), positive integers", crop_size)
        require(
            is_number(cat_max_ratio) and cat_max_ratio > 0, self, "cat_max_ratio", "a number above 0", cat_max_ratio
        )
        require(is_int(ignore_index), self, "ignore_index", "an integer", ignore_index)
        self.crop_size = tuple(crop_size)
        self.cat_max_ratio = cat_max_ratio
        self.ignore_index = ignore_index

    def _draw_box(self, image: np.ndarray, rng: np.random.Generator) -> Box:
        top = int(rng.integers(max(image.shape[0] - self.crop_size[0], 0) + 1))
        left = int(rng.integers(max(image.shape[1] - self.crop_size[1], 0) + 1))
        return top, top + self.crop_size[0], left, left + self.crop_size[1]

    @staticmethod
    def _crop(image: np.ndarray, box: Box) -> np.ndarray:
        top, bottom, left, right = box
        return image[top:bottom, left:right]

    def _is_mixed(self, mask: np.ndarray) -> bool:
        counts = cv2.calcHist([mask], [0], None, [256], [0, 256]).ravel()
        if 0 <= self.ignore_index < 256:
            counts[self.ignore_index] = 0
        return np.count_nonzero(counts) > 1 and counts.max() / counts.sum(dtype=np.float64) < self.cat_max_ratio

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        rng = generator(rng)
        image = sample["img"]
        box = self._draw_box(image, rng)
        if self.cat_max_ratio < 1 and "gt_semantic_seg" in sample:
            for _ in range(self.TRIES):
                if self._is_mixed(self._crop(sample["gt_semantic_seg"], box)):
                    break
                box = self._draw_box(image, rng)
        sample["img"] = self._crop(image, box)
        sample["img_shape"] = sample["pad_shape"] = sample["img"].shape
        for key in sample.get("seg_fields", []):
            sample[key] = self._crop(sample[key], box)
        return sample


@TRANSFORMS.register_module()
class RandomFlip:
    """Mirror the image and its masks with some probability, or as `sample["flip"]` says where it is set before.

    Sets flip, flip_direction.

    Args:
        prob: the probability; not needed within MultiScaleFlipAug, which sets `flip`.
        direction: "horizontal" (left and right change places) or "vertical"; `sample["flip_direction"]` goes before it.
        flip_ratio: old name of `prob`.

    Raises:
        ConfigError: an argument is none of these, or (when called) neither `prob` nor `sample["flip"]` is there.
    """

    CODES = {"horizontal": 1, "vertical": 0}

    def __init__(
        self, prob: Optional[float] = None, direction: str = "horizontal", flip_ratio: Optional[float] = None
    ) -> None:
        if prob is None:
            prob = flip_ratio
        require(prob is None or is_probability(prob), self, "prob", "a number from 0 to 1", prob)
        require(direction in self.CODES, self, "direction", "'horizontal' or 'vertical'", direction)
        self.prob = prob
        self.direction = direction

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        if "flip" not in sample:
            if self.prob is None:
                raise ConfigError("RandomFlip: prob must be given where no MultiScaleFlipAug decides about flipping")
            sample["flip"] = bool(generator(rng).random() < self.prob)
        direction = sample.setdefault("flip_direction", self.direction)
        if sample["flip"]:
            code = self.CODES[direction]
            sample["img"] = cv2.flip(sample["img"], code)
            for key in sample.get("seg_fields", []):
                sample[key] = cv2.flip(sample[key], code)
        return sample


@TRANSFORMS.register_module()
class Pad:
    """Extend the image and its masks at the bottom and the right; nothing is ever cut.

    Sets pad_shape, pad_fixed_size, pad_size_divisor.

    Args:
        size: (height, width) in pixels to extend to. Either this or
        size_divisor: extend to the next multiple of it.
        pad_val: fills the image. As with OpenCV, and so mmsegmentation, a number fills the first channel and 0 the
            others; give one number a channel to fill all.
        seg_pad_val: fills the masks.

    Raises:
        ConfigError: both or neither of `size` and `size_divisor` are given, or an argument is none of these.
    """

    def __init__(
        self,
        size: Optional[Sequence[int]] = None,
        size_divisor: Optional[int] = None,
        pad_val: Fill = 0,
        seg_pad_val: int = 255,
    ) -> None:
        if (size is None) == (size_divisor is None):
            raise ConfigError(f"Pad: give either size or size_divisor, not {'neither' if size is None else 'both'}")
        if size is not None:
            require(is_pair(size, is_positive_int), self, "size", "(height, width), positive integers", size)
        if size_divisor is not None:
            require(is_positive_int(size_divisor), self, "size_divisor", "a positive integer", size_divisor)
        require(is_fill(pad_val), self, "pad_val", "a number or one number a channel", pad_val)
        require(
            is_int(seg_pad_val) and 0 <= seg_pad_val <= 255,
            self,
            "seg_pad_val",
            "an integer from 0 to 255",
            seg_pad_val,
        )
        self.size = None if size is None else tuple(size)
        self.size_divisor = size_divisor
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    @staticmethod
    def _pad(image: np.ndarray, size: Tuple[int, int], value: Fill) -> np.ndarray:
        bottom, right = max(size[0] - image.shape[0], 0), max(size[1] - image.shape[1], 0)
        if bottom == right == 0:
            return image
        value = tuple(value) if isinstance(value, (list, tuple)) else value
        return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=value)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        image = sample["img"]
        size = self.size
        if size is None:
            height, width = (-(-edge // self.size_divisor) * self.size_divisor for edge in image.shape[:2])
            size = (height, width)
        sample["img"] = self._pad(image, size, self.pad_val)
        sample["pad_shape"] = sample["img"].shape
        sample["pad_fixed_size"] = self.size
        sample["pad_size_divisor"] = self.size_divisor
        for key in sample.get("seg_fields", []):
            sample[key] = self._pad(sample[key], sample["pad_shape"][:2], self.seg_pad_val)
        return sample


@TRANSFORMS.register_module()
class RandomRotate:
    """Rotate the image (bilinear) and its masks (nearest) by a random angle.

    Args:
        prob: the probability of rotating.
        degree: (low, high) of the angle in degrees, clockwise; a number d means (-d, d).
        pad_val: fills what comes into view in the image; a number fills the first channel only, as for Pad.
        seg_pad_val: the same for masks.
        center: (x, y) to rotate about; the centre of the image by default.
        auto_bound: enlarge the image so that nothing is cut off; not together with `center`.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(
        self,
        prob: float,
        degree: Union[float, Sequence[float]],
        pad_val: Fill = 0,
        seg_pad_val: int = 255,
        center: Optional[Sequence[float]] = None,
        auto_bound: bool = False,
    ) -> None:
        require(is_probability(prob), self, "prob", "a number from 0 to 1", prob)
        valid = is_positive(degree) if is_number(degree) else is_range(degree)
        require(valid, self, "degree", "a number above 0 or (low, high)", degree)
        require(is_fill(pad_val), self, "pad_val", "a number or one number a channel", pad_val)
        require(
            is_int(seg_pad_val) and 0 <= seg_pad_val <= 255,
            self,
            "seg_pad_val",
            "an integer from 0 to 255",
            seg_pad_val,
        )
        require(center is None or is_pair(center), self, "center", "(x, y)", center)
        if center is not None and auto_bound:
            raise ConfigError("RandomRotate: center and auto_bound cannot be given together")
        self.prob = prob
        self.degree = (-degree, degree) if is_number(degree) else tuple(degree)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.center = None if center is None else tuple(center)
        self.auto_bound = auto_bound

    def _rotate(self, image: np.ndarray, angle: float, flags: int, value: Fill) -> np.ndarray:
        height, width = image.shape[:2]
        center = self.center or ((width - 1) * 0.5, (height - 1) * 0.5)
        matrix = cv2.getRotationMatrix2D(center, -angle, 1.0)
        if self.auto_bound:
            cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
            new_width, new_height = height * sin + width * cos, height * cos + width * sin
            matrix[0, 2] += (new_width - width) * 0.5
            matrix[1, 2] += (new_height - height) * 0.5
            width, height = int(np.round(new_width)), int(np.round(new_height))
        value = tuple(value) if isinstance(value, (list, tuple)) else value
        return cv2.warpAffine(image, matrix, (width, height), flags=flags, borderValue=value)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        rng = generator(rng)
        rotate = rng.random() < self.prob
        angle = float(rng.uniform(*self.degree))
        if rotate:
            sample["img"] = self._rotate(sample["img"], angle, cv2.INTER_LINEAR, self.pad_val)
            sample["img_shape"] = sample["pad_shape"] = sample["img"].shape
            for key in sample.get("seg_fields", []):
                sample[key] = self._rotate(sample[key], angle, cv2.INTER_NEAREST, self.seg_pad_val)
        return sample


@TRANSFORMS.register_module()
class RandomCutOut:
    """Cover rectangles of the image (Cutout, DeVries and Taylor, arXiv:1708.04552).

    Args:
        prob: the probability of covering anything.
        n_holes: how many rectangles; (low, high) to draw the number, both included.
        cutout_shape: (width, height) in pixels, or a list of them to draw from. Either this or
        cutout_ratio: (width, height) as shares of the image's, or a list of them.
        fill_in: the value of each channel.
        seg_fill_in: the label given to covered pixels (0 to 255); None leaves the masks as they are.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(
        self,
        prob: float,
        n_holes: Union[int, Sequence[int]],
        cutout_shape: Optional[Any] = None,
        cutout_ratio: Optional[Any] = None,
        fill_in: Sequence[float] = (0, 0, 0),
        seg_fill_in: Optional[int] = None,
    ) -> None:
        require(is_probability(prob), self, "prob", "a number from 0 to 1", prob)
        valid = is_int(n_holes) and n_holes >= 0
        valid = valid or (is_pair(n_holes, is_int) and 0 <= n_holes[0] < n_holes[1])
        require(valid, self, "n_holes", "an integer from 0 or (low, high) with 0 <= low < high", n_holes)
        if (cutout_shape is None) == (cutout_ratio is None):
            raise ConfigError("RandomCutOut: give either cutout_shape or cutout_ratio")
        argument, given = ("cutout_shape", cutout_shape) if cutout_ratio is None else ("cutout_ratio", cutout_ratio)
        kind = is_positive_int if cutout_ratio is None else is_positive
        candidates = [given] if is_pair(given) else given
        require(
            isinstance(candidates, (list, tuple)) and len(candidates) > 0 and all(is_pair(c, kind) for c in candidates),
            self,
            argument,
            "(width, height) above 0 or a list of such pairs",
            given,
        )
        require(is_fill(fill_in), self, "fill_in", "a number or one number a channel", fill_in)
        valid = seg_fill_in is None or (is_int(seg_fill_in) and 0 <= seg_fill_in <= 255)
        require(valid, self, "seg_fill_in", "None or an integer from 0 to 255", seg_fill_in)
        self.prob = prob
        self.n_holes = (n_holes, n_holes) if is_int(n_holes) else tuple(n_holes)
        self.with_ratio = cutout_ratio is not None
        self.candidates = [tuple(candidate) for candidate in candidates]
        self.fill_in = fill_in
        self.seg_fill_in = seg_fill_in

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        rng = generator(rng)
        if not rng.random() < self.prob:
            return sample
        # Copies, since the arrays may be shared with other views of the same image.
        image = sample["img"] = sample["img"].copy()
        masks = []
        if self.seg_fill_in is not None:
            for key in sample.get("seg_fields", []):
                sample[key] = sample[key].copy()
                masks.append(sample[key])
        height, width = image.shape[:2]
        for _ in range(int(rng.integers(self.n_holes[0], self.n_holes[1] + 1))):
            left, top = int(rng.integers(width)), int(rng.integers(height))
            hole_width, hole_height = self.candidates[int(rng.integers(len(self.candidates)))]
            if self.with_ratio:
                hole_width, hole_height = int(hole_width * width), int(hole_height * height)
            image[top : top + hole_height, left : left + hole_width] = self.fill_in
            for mask in masks:
                mask[top : top + hole_height, left : left + hole_width] = self.seg_fill_in
        return sample
