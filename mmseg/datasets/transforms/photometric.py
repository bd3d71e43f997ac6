"""Transforms that change the values of pixels and leave masks alone.

Changes that depend on nothing but the value of an 8-bit pixel go through a table of 256 entries, which gives the same
numbers as computing each pixel in float and is several times as fast.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

import cv2
import numpy as np

from mmseg.datasets.transforms.arguments import (
    generator,
    is_int,
    is_number,
    is_pair,
    is_positive,
    is_positive_int,
    is_range,
    require,
)
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.errors import ConfigError

_LEVELS = np.arange(256, dtype=np.float32)


def _as_uint8(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    return np.clip(image, 0, 255).astype(np.uint8)


def _linear_table(factor: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """(256,) uint8: level times factor plus offset, computed in float32, clipped and cut to an integer."""
    return np.clip(_LEVELS * np.float32(factor) + np.float32(offset), 0, 255).astype(np.uint8)


@TRANSFORMS.register_module()
class PhotoMetricDistortion:
    """Change brightness, contrast, saturation and hue at random, each with probability 1/2.

    As in SSD (Liu et al., arXiv:1512.02325) the order is brightness, contrast, saturation, hue, contrast, of which
    contrast comes in one of its two places, drawn with equal chance. The image is 8-bit BGR afterwards. Saturation and
    hue share one conversion to HSV and back.

    Args:
        brightness_delta: the largest offset.
        contrast_range: (low, high) factor.
        saturation_range: (low, high) factor.
        hue_delta: the largest shift, in OpenCV's unit of 2 degrees; integers from -hue_delta to hue_delta - 1 are
            drawn.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: int = 18,
    ) -> None:
        valid = is_number(brightness_delta) and brightness_delta >= 0
        require(valid, self, "brightness_delta", "a number from 0", brightness_delta)
        require(is_range(contrast_range), self, "contrast_range", "(low, high)", contrast_range)
        require(is_range(saturation_range), self, "saturation_range", "(low, high)", saturation_range)
        require(is_int(hue_delta) and 0 <= hue_delta <= 180, self, "hue_delta", "an integer from 0 to 180", hue_delta)
        self.brightness_delta = brightness_delta
        self.contrast_range = tuple(contrast_range)
        self.saturation_range = tuple(saturation_range)
        self.hue_delta = hue_delta

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        rng = generator(rng)
        brightness = contrast = saturation = hue = None
        if rng.integers(2):
            brightness = _linear_table(offset=rng.uniform(-self.brightness_delta, self.brightness_delta))
        contrast_first = bool(rng.integers(2))
        if rng.integers(2):
            contrast = _linear_table(factor=rng.uniform(*self.contrast_range))
        if rng.integers(2):
            saturation = rng.uniform(*self.saturation_range)
        if rng.integers(2):
            hue = int(rng.integers(-self.hue_delta, self.hue_delta)) if self.hue_delta else 0

        before = brightness
        if contrast is not None and contrast_first:
            before = contrast if before is None else contrast[before]
        image = _as_uint8(sample["img"])
        if before is not None:
            image = cv2.LUT(image, before)
        if saturation is not None or hue is not None:
            image = self._shift_hsv(image, 1.0 if saturation is None else saturation, hue or 0)
        if contrast is not None and not contrast_first:
            image = cv2.LUT(image, contrast)
        sample["img"] = image
        return sample

    @staticmethod
    def _shift_hsv(image: np.ndarray, saturation: float, hue: int) -> np.ndarray:
        table = np.empty((256, 1, 3), dtype=np.uint8)
        table[:, 0, 0] = (np.arange(256) + hue) % 180
        table[:, 0, 1] = _linear_table(factor=saturation)
        table[:, 0, 2] = np.arange(256)
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table)
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR, dst=hsv)


@TRANSFORMS.register_module()
class Normalize:
    """Subtract the mean and divide by the standard deviation, in float32. Sets img_norm_cfg.

    Args:
        mean: one number a channel, in the order of the result.
        std: one number a channel.
        to_rgb: turn a BGR image into RGB first.

    Raises:
        ConfigError: an argument is none of these, or (when called) there is not one number a channel.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> None:
        for name, values, kind in (("mean", mean, is_number), ("std", std, is_positive)):
            values = list(values) if isinstance(values, (list, tuple, np.ndarray)) else [None]
            expected = "one number a channel" if name == "mean" else "one number above 0 a channel"
            require(len(values) > 0 and all(kind(value) for value in values), self, name, expected, values)
        require(len(mean) == len(std), self, "std", f"as long as mean ({len(mean)})", std)
        self.mean = np.array(mean, dtype=np.float32)
        self.std = np.array(std, dtype=np.float32)
        self.to_rgb = to_rgb
        self._table = self._arithmetic(np.repeat(_LEVELS[:, None, None], len(self.mean), axis=2))

    def _arithmetic(self, image: np.ndarray) -> np.ndarray:
        """Normalise a float32 image in place. OpenCV computes it as mmcv's imnormalize does, to the last bit."""
        mean = np.float64(self.mean.reshape(1, -1))
        inverse = 1 / np.float64(self.std.reshape(1, -1))
        if len(self.mean) > 4:  # an OpenCV scalar has four numbers
            return ((image - mean) * inverse).astype(np.float32)
        cv2.subtract(image, mean, image)
        cv2.multiply(image, inverse, image)
        return image

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        image = sample["img"]
        channels = 1 if image.ndim == 2 else image.shape[2]
        if channels != len(self.mean):
            raise ConfigError(
                f"Normalize: mean has {len(self.mean)} numbers, but the image {sample.get('filename', '')} has "
                f"{channels} channels".replace("  ", " ")
            )
        swap = self.to_rgb and channels == 3
        if image.dtype == np.uint8 and channels <= 4:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if swap else image
            image = cv2.LUT(image, self._table)
        else:
            image = image.astype(np.float32)
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image) if swap else image
            image = self._arithmetic(image)
        sample["img"] = image
        sample["img_norm_cfg"] = dict(mean=self.mean, std=self.std, to_rgb=self.to_rgb)
        return sample


@TRANSFORMS.register_module()
class CLAHE:
    """Contrast limited adaptive histogram equalisation of each channel (Zuiderveld, Graphics Gems IV, 1994).

    Args:
        clip_limit: the contrast limit.
        tile_grid_size: how many tiles (columns, rows) the image is divided into.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(self, clip_limit: float = 40.0, tile_grid_size: Tuple[int, int] = (8, 8)) -> None:
        require(is_number(clip_limit), self, "clip_limit", "a number", clip_limit)
        valid = is_pair(tile_grid_size, is_positive_int)
        require(valid, self, "tile_grid_size", "two positive integers", tile_grid_size)
        self.clip_limit = clip_limit
        self.tile_grid_size = tuple(tile_grid_size)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        clahe = cv2.createCLAHE(self.clip_limit, self.tile_grid_size)
        image = _as_uint8(sample["img"])
        equalised = [clahe.apply(channel) for channel in cv2.split(image)]
        sample["img"] = equalised[0] if image.ndim == 2 else np.stack(equalised, axis=2)
        return sample


@TRANSFORMS.register_module()
class AdjustGamma:
    """Gamma correction: a level v becomes 255 (v / 255) ** (1 / gamma). The image is 8-bit afterwards.

    Args:
        gamma: above 1 brightens.

    Raises:
        ConfigError: gamma is not a positive number.
    """

    def __init__(self, gamma: float = 1.0) -> None:
        require(is_positive(gamma), self, "gamma", "a number above 0", gamma)
        self.gamma = gamma
        self._table = ((np.arange(256) / 255.0) ** (1.0 / gamma) * 255).astype(np.uint8)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        sample["img"] = cv2.LUT(_as_uint8(sample["img"]), self._table)
        return sample


@TRANSFORMS.register_module()
class Rerange:
    """Stretch the image's own range of values to a given one, in float. A constant image becomes `min_value`
    throughout.

    Args:
        min_value: what the smallest value becomes.
        max_value: what the largest value becomes.

    Raises:
        ConfigError: min_value is not below max_value.
    """

    def __init__(self, min_value: float = 0, max_value: float = 255) -> None:
        require(is_number(min_value), self, "min_value", "a number", min_value)
        require(is_number(max_value) and max_value > min_value, self, "max_value", f"above {min_value}", max_value)
        self.min_value = min_value
        self.max_value = max_value

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        image = sample["img"]
        low, high = np.min(image), np.max(image)
        scaled = (image - low) / ((high - low) if high > low else 1)
        sample["img"] = scaled * (self.max_value - self.min_value) + self.min_value
        return sample


@TRANSFORMS.register_module()
class RGB2Gray:
    """A weighted sum of the channels, repeated.

    Args:
        out_channels: how many times; None keeps the number of channels.
        weights: one number a channel, in the order in which the image has them when this is applied.

    Raises:
        ConfigError: an argument is none of these, or (when called) there is not one weight a channel.
    """

    def __init__(self, out_channels: Optional[int] = None, weights: Sequence[float] = (0.299, 0.587, 0.114)) -> None:
        valid = out_channels is None or is_positive_int(out_channels)
        require(valid, self, "out_channels", "None or a positive integer", out_channels)
        valid = isinstance(weights, (list, tuple)) and len(weights) > 0 and all(is_number(weight) for weight in weights)
        require(valid, self, "weights", "one number a channel", weights)
        self.out_channels = out_channels
        self.weights = tuple(weights)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        image = sample["img"]
        channels = 1 if image.ndim == 2 else image.shape[2]
        require(channels == len(self.weights), self, "weights", f"{channels} numbers, one a channel", self.weights)
        grey = (image.reshape(image.shape[:2] + (channels,)) * np.array(self.weights)).sum(2, keepdims=True)
        sample["img"] = grey.repeat(self.out_channels or channels, axis=2)
        sample["img_shape"] = sample["pad_shape"] = sample["img"].shape
        return sample
