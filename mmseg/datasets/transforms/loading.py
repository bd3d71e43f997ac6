"""Transforms that read files."""

import os
from typing import Any, Dict, Mapping, Optional

import cv2
import numpy as np

from mmseg.datasets.image_files import BACKENDS, CV2_FLAGS, read_image, read_mask
from mmseg.datasets.transforms.arguments import check_file_client, require
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.errors import DataError

#: What a pixel that belongs to no class is labelled after a label map or `reduce_zero_label`.
IGNORED = 255


def _path(prefix: Optional[str], name: str) -> str:
    return name if prefix is None else os.path.join(prefix, name)


@TRANSFORMS.register_module()
class LoadImageFromFile:
    """Read the image `img_info["filename"]` (under `img_prefix`).

    Sets filename, ori_filename, img (BGR), img_shape, ori_shape, pad_shape, scale_factor, img_norm_cfg, img_fields.

    Args:
        to_float32: convert to float32 (still 0 to 255).
        color_type: "color", "grayscale", "unchanged" or one of the first two with "_ignore_orientation" (of EXIF).
        file_client_args: only `dict(backend="disk")`.
        imdecode_backend: "cv2" or "pillow".

    Raises:
        ConfigError: an argument is none of these.
        ImageError (when called): the file is missing or cannot be decoded.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "color",
        file_client_args: Optional[Mapping[str, Any]] = None,
        imdecode_backend: str = "cv2",
    ) -> None:
        require(color_type in CV2_FLAGS, self, "color_type", f"one of {', '.join(CV2_FLAGS)}", color_type)
        require(imdecode_backend in BACKENDS, self, "imdecode_backend", " or ".join(BACKENDS), imdecode_backend)
        check_file_client(self, file_client_args)
        self.to_float32 = to_float32
        self.color_type = color_type
        self.imdecode_backend = imdecode_backend

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        name = sample["img_info"]["filename"]
        filename = _path(sample.get("img_prefix"), name)
        image = read_image(filename, self.color_type, self.imdecode_backend)
        if self.to_float32:
            image = image.astype(np.float32)
        channels = 1 if image.ndim < 3 else image.shape[2]
        sample.update(
            filename=filename,
            ori_filename=name,
            img=image,
            img_shape=image.shape,
            ori_shape=image.shape,
            pad_shape=image.shape,
            scale_factor=1.0,
            img_norm_cfg=dict(
                mean=np.zeros(channels, dtype=np.float32), std=np.ones(channels, dtype=np.float32), to_rgb=False
            ),
            img_fields=["img"],
        )
        return sample


@TRANSFORMS.register_module()
class LoadAnnotations:
    """Read the label mask `ann_info["seg_map"]` (under `seg_prefix`) as `gt_semantic_seg`, (H, W) uint8.

    Where the sample has a `label_map` (old id to new id, -1 for a class that is left out), ids are mapped by it. Where
    it has `num_classes`, every id must be below it, `ignore_index` or 255.

    Args:
        reduce_zero_label: 0 becomes 255 and every other id one less (after `label_map`).
        file_client_args: only `dict(backend="disk")`.
        imdecode_backend: "pillow" (reads palette masks as indices) or "cv2".

    Raises:
        ConfigError: an argument is none of these.
        DataError (when called): the file is missing, cannot be decoded, does not fit the image or holds unknown ids.
    """

    def __init__(
        self,
        reduce_zero_label: bool = False,
        file_client_args: Optional[Mapping[str, Any]] = None,
        imdecode_backend: str = "pillow",
    ) -> None:
        require(imdecode_backend in BACKENDS, self, "imdecode_backend", " or ".join(BACKENDS), imdecode_backend)
        check_file_client(self, file_client_args)
        self.reduce_zero_label = reduce_zero_label
        self.imdecode_backend = imdecode_backend

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, Any]:
        filename = _path(sample.get("seg_prefix"), sample["ann_info"]["seg_map"])
        mask = read_mask(filename, self.imdecode_backend)
        if "ori_shape" in sample and tuple(mask.shape) != tuple(sample["ori_shape"][:2]):
            height, width = sample["ori_shape"][:2]
            raise DataError(
                f"label mask {filename} is {mask.shape[1]}x{mask.shape[0]} (width x height), "
                f"but its image {sample.get('filename')} is {width}x{height}"
            )
        table = self._table(sample.get("label_map"))
        if table is not None:
            mask = cv2.LUT(mask, table)
        if sample.get("num_classes") is not None:
            _check_labels(mask, sample["num_classes"], sample.get("ignore_index", IGNORED), filename)
        sample["gt_semantic_seg"] = mask
        sample.setdefault("seg_fields", []).append("gt_semantic_seg")
        return sample

    def _table(self, label_map: Optional[Mapping[int, int]]) -> Optional[np.ndarray]:
        """New id of each of the 256 possible ids, or None when nothing changes."""
        if label_map is None and not self.reduce_zero_label:
            return None
        table = np.arange(256, dtype=np.uint8)
        for old, new in (label_map or {}).items():
            table[old] = IGNORED if new < 0 else new
        if self.reduce_zero_label:
            ids = table.astype(np.int64) - 1
            table = np.where((ids < 0) | (ids == IGNORED - 1), IGNORED, ids).astype(np.uint8)
        return table


def _check_labels(mask: np.ndarray, num_classes: int, ignore_index: int, filename: str) -> None:
    present = np.flatnonzero(cv2.calcHist([mask], [0], None, [256], [0, 256]))
    unknown = [int(i) for i in present if i >= num_classes and i not in (ignore_index, IGNORED)]
    if unknown:
        raise DataError(
            f"label mask {filename} holds the id {unknown[0]}, but there are {num_classes} classes, "
            f"so ids are 0 to {num_classes - 1}, or {ignore_index} for pixels to ignore"
        )
