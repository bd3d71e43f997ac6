"""Regions' mean uncertainty, predicted class and size, in one pass over the pixels on the device that holds them."""

from typing import Optional, Tuple, Union

import numpy as np
import torch

from ymir.errors import PackageError
from ymir.mining.pixels import PixelScores
from ymir.mining.regions import RegionScores
from ymir.mining.rounding import without_rounding_errors

# An (H, W) integer array, or a tensor on any device.
Labels = Union[np.ndarray, torch.Tensor]
# A (D,) array, or a tensor on any device.
Features = Union[np.ndarray, torch.Tensor]

# Binary digits of each of the two parts into which a sum on an accelerator is divided. 2**30 pixels of at most 2**5
# fit int64.
_DIGITS = 28
# Pixels of one region and class in a row, on average, from which on it pays to look for such runs.
_LONG_RUN = 8


def region_statistics(
    pixels: PixelScores, labels: Labels, num_classes: int, features: Optional[Features] = None
) -> RegionScores:
    """Score each region by the mean uncertainty of its pixels.

    Args:
        pixels: the uncertainty and the class of each of the image's pixels.
        labels: (H, W), the region of each pixel, at least 0. Numbers may be missing.
        num_classes: C; the classes are 0 … C - 1.
        features: what the result is to carry along.

    Returns:
        The regions by rising label; each has the class that most of its pixels have, the lowest id on ties.

    Raises:
        PackageError: an uncertainty is NaN or infinite.
        ValueError: the labels are of another size.
    """
    labels = torch.as_tensor(labels, device=pixels.class_map.device)
    if labels.shape != pixels.class_map.shape:
        size, wanted = "x".join(map(str, labels.shape)), "x".join(map(str, pixels.class_map.shape))
        raise ValueError(f"superpixels of {size} pixels do not fit an image of {wanted}")
    of_class, total = _by_region(pixels, labels, num_classes)
    pixel_count = of_class.sum(1)
    region = np.flatnonzero(pixel_count)
    score = without_rounding_errors(total[region] / pixel_count[region])
    refuse_broken(score)
    return RegionScores(
        score=score,
        class_id=of_class[region].argmax(1).astype(np.int32),
        pixel_count=pixel_count[region].astype(np.int32),
        region=region.astype(np.int32),
        size=tuple(labels.shape),
        features=as_features(features),
    )


def image_statistics(pixels: PixelScores, num_classes: int, features: Optional[Features] = None) -> RegionScores:
    """The whole image as one region, number 0, scored by the mean uncertainty of its pixels. Arguments, class and
    errors as in `region_statistics`."""
    uncertainty = pixels.uncertainty
    # numpy's sum, unlike torch's on a CPU, does not depend on the number of threads.
    if uncertainty.device.type == "cpu":
        total = uncertainty.numpy().sum(dtype=np.float64)
    else:
        total = uncertainty.sum(dtype=torch.float64).item()
    score = without_rounding_errors(np.array([total / uncertainty.numel()]))
    refuse_broken(score)
    return whole_image(pixels.class_map, num_classes, score, features)


def whole_image(
    class_map: torch.Tensor, num_classes: int, score: np.ndarray, features: Optional[Features] = None
) -> RegionScores:
    """The whole image as one region, number 0, with a `score` (1,) of its own."""
    return RegionScores(
        score=score,
        class_id=np.array([_count(class_map, num_classes).argmax()], np.int32),
        pixel_count=np.array([class_map.numel()], np.int32),
        region=np.zeros(1, np.int32),
        size=tuple(class_map.shape),
        features=as_features(features),
    )


def refuse_broken(values: np.ndarray) -> None:
    """Raise PackageError where a value that the network's output led to is NaN or infinite."""
    if not np.isfinite(values).all():
        raise PackageError("the network's output is NaN or infinite, so its uncertainty cannot be measured")


def as_features(features: Optional[Features]) -> Optional[np.ndarray]:
    """Features as a (D,) float32 array."""
    if features is None:
        return None
    array = torch.as_tensor(features).detach().cpu().float().numpy()
    refuse_broken(array)
    return array


def _by_region(pixels: PixelScores, labels: torch.Tensor, num_classes: int) -> Tuple[np.ndarray, np.ndarray]:
    """Pixels of each class (labels, C), int64, and sum of uncertainties (labels,), float64, of each region."""
    num_labels = int(labels.max()) + 1
    length = num_labels * num_classes
    index = labels.to(torch.int32 if length < 1 << 31 else torch.int64) * num_classes
    index += pixels.class_map
    if labels.device.type != "cpu":
        of_class = _count(index, length).reshape(num_labels, num_classes)
        return of_class, _exact_sums(pixels.uncertainty, labels, num_labels)
    # numpy does this several times as fast as torch. Sums by region and class spare a second array of indices.
    of_class, total = _sums_by_index(index.numpy().reshape(-1), pixels.uncertainty.numpy().reshape(-1), length)
    return of_class.reshape(num_labels, num_classes), total.reshape(num_labels, num_classes).sum(1)


def _sums_by_index(index: np.ndarray, values: np.ndarray, length: int) -> Tuple[np.ndarray, np.ndarray]:
    """How often each of 0 … length - 1 occurs, int64, and the sum of the values there, float64."""
    begins = np.flatnonzero(index[1:] != index[:-1]) + 1
    if len(begins) * _LONG_RUN > len(index):
        return np.bincount(index, minlength=length), np.bincount(index, values, length)
    # Neighbours mostly are of the same region and class: each run of them is summed up first.
    begins = np.concatenate([[0], begins])
    run_lengths = np.diff(begins, append=len(index))
    run_sums = np.add.reduceat(values, begins, dtype=np.float64)
    index = index[begins]
    return np.bincount(index, run_lengths, length).astype(np.int64), np.bincount(index, run_sums, length)


def _count(index: torch.Tensor, length: int) -> np.ndarray:
    """How often each of 0 … length - 1 occurs."""
    if index.device.type == "cpu":
        return np.bincount(index.numpy().reshape(-1), minlength=length)
    return torch.bincount(index.reshape(-1).long(), minlength=length).cpu().numpy()


def _exact_sums(values: torch.Tensor, labels: torch.Tensor, num_labels: int) -> np.ndarray:
    """Sums of the values, from 0 to 32, of each label: the same whatever the order in which a device adds them up.

    Integers are added, which is exact: each value's multiple of 2**-28, and what is left in multiples of 2**-56.
    """
    if not bool(torch.isfinite(values).all()):
        return np.full(num_labels, np.nan)
    index = labels.reshape(-1).long()
    scaled = values.reshape(-1).double() * 2.0**_DIGITS
    high = scaled.round()
    low = ((scaled - high) * 2.0**_DIGITS).round()
    sums = torch.zeros(2, num_labels, dtype=torch.int64, device=labels.device)
    for place, part in enumerate((high, low)):
        sums[place].scatter_add_(0, index, part.long())
    high_sum, low_sum = sums.cpu().numpy().astype(np.float64)
    return (high_sum + low_sum * 2.0**-_DIGITS) * 2.0**-_DIGITS
