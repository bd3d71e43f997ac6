"""Transforms that turn arrays into tensors and choose what leaves the pipeline."""

from typing import Any, Dict, Mapping, Optional, Sequence

import numpy as np
import torch

from mmseg.datasets.transforms.arguments import is_int, require
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.errors import ConfigError, DataError

#: What a model, a log or a picture needs to know of an image.
META_KEYS = (
    "filename",
    "ori_filename",
    "ori_shape",
    "img_shape",
    "pad_shape",
    "scale_factor",
    "flip",
    "flip_direction",
    "img_norm_cfg",
)


def image_to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W) or (H, W, C) as a contiguous float32 tensor (C, H, W)."""
    if image.ndim == 2:
        image = image[:, :, None]
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))


def to_tensor(data: Any) -> torch.Tensor:
    """An array, number or sequence of numbers as a tensor of the same type. Raises DataError for anything else."""
    if isinstance(data, torch.Tensor):
        return data
    if isinstance(data, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(data))
    if isinstance(data, Sequence) and not isinstance(data, str):
        return torch.tensor(data)
    if isinstance(data, (int, float)):
        return torch.tensor([data])
    raise DataError(f"{type(data).__name__} cannot become a tensor")


def _keys(owner: object, keys: Any) -> Sequence[str]:
    valid = isinstance(keys, (list, tuple)) and all(isinstance(key, str) for key in keys)
    require(valid, owner, "keys", "a list of names of sample entries", keys)
    return tuple(keys)


def _entry(owner: object, sample: Mapping[str, Any], key: str) -> Any:
    if key not in sample:
        name = type(owner).__name__
        raise ConfigError(f"{name}: no transform before it sets {key!r}; there are {', '.join(sorted(sample))}")
    return sample[key]


@TRANSFORMS.register_module()
class DefaultFormatBundle:
    """`img` to a float32 tensor (C, H, W) and `gt_semantic_seg`, where there is one, to an int64 tensor (1, H, W)."""

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        if "img" in sample:
            sample["img"] = image_to_tensor(sample["img"])
        if "gt_semantic_seg" in sample:
            sample["gt_semantic_seg"] = torch.from_numpy(sample["gt_semantic_seg"][None].astype(np.int64))
        return sample


@TRANSFORMS.register_module()
class ToTensor:
    """Turn entries into tensors as they are.

    Args:
        keys: names of the entries: arrays, numbers or sequences of numbers.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = _keys(self, keys)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        for key in self.keys:
            sample[key] = to_tensor(_entry(self, sample, key))
        return sample


@TRANSFORMS.register_module()
class ImageToTensor:
    """Turn images (H, W) or (H, W, C) into contiguous float32 tensors (C, H, W).

    Args:
        keys: names of the entries.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = _keys(self, keys)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        for key in self.keys:
            sample[key] = image_to_tensor(_entry(self, sample, key))
        return sample


@TRANSFORMS.register_module()
class Transpose:
    """Reorder the axes of arrays.

    Args:
        keys: names of the entries.
        order: the old axis that each new axis is.
    """

    def __init__(self, keys: Sequence[str], order: Sequence[int]) -> None:
        self.keys = _keys(self, keys)
        valid = isinstance(order, (list, tuple)) and all(is_int(axis) for axis in order)
        valid = valid and sorted(order) == list(range(len(order)))
        require(valid, self, "order", "a permutation of the axes 0, 1, ...", order)
        self.order = tuple(order)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        for key in self.keys:
            array = _entry(self, sample, key)
            require(array.ndim == len(self.order), self, "order", f"of the {array.ndim} axes of {key!r}", self.order)
            sample[key] = array.transpose(self.order)
        return sample


@TRANSFORMS.register_module()
class ToDataContainer:
    """Does nothing but check that the entries exist: batches here are plain tensors. Accepted so that old configs run.

    Args:
        fields: dicts whose `key` is the name of an entry.
    """

    def __init__(
        self, fields: Sequence[Mapping[str, Any]] = (dict(key="img", stack=True), dict(key="gt_semantic_seg"))
    ) -> None:
        valid = isinstance(fields, (list, tuple))
        valid = valid and all(isinstance(field, Mapping) and "key" in field for field in fields)
        require(valid, self, "fields", "a list of dicts with the entry 'key'", fields)
        self.keys = tuple(field["key"] for field in fields)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        for key in self.keys:
            _entry(self, sample, key)
        return sample


@TRANSFORMS.register_module()
class Collect:
    """Keep the entries that a model needs, and what is known of the image as the dict `img_metas`.

    Args:
        keys: names of the entries to keep.
        meta_keys: names of the entries for `img_metas`; those that the pipeline does not set are left out.
    """

    def __init__(self, keys: Sequence[str], meta_keys: Sequence[str] = META_KEYS) -> None:
        self.keys = _keys(self, keys)
        valid = isinstance(meta_keys, (list, tuple)) and all(isinstance(key, str) for key in meta_keys)
        require(valid, self, "meta_keys", "a list of names of sample entries", meta_keys)
        self.meta_keys = tuple(meta_keys)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        collected = {key: _entry(self, sample, key) for key in self.keys}
        collected["img_metas"] = {key: sample[key] for key in self.meta_keys if key in sample}
        return collected
