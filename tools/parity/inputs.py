"""Weights, images and labels that both sides make for themselves, from names and seeds."""

import zlib
from typing import Any, Dict, Tuple

import cv2
import numpy as np
import torch
from torch import nn


def fill(model: nn.Module) -> None:
    """Give every entry of the state_dict a value that depends on its name and shape alone."""
    values = {name: _value(name, tuple(value.shape)) for name, value in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in values.items()})


def _value(name: str, shape: Tuple[int, ...]) -> np.ndarray:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    normal = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith("running_var"):
        return 1 + np.float32(0.1) * np.abs(normal)
    if name.endswith("running_mean"):
        return np.float32(0.1) * normal
    if len(shape) <= 1:
        return np.float32(0.1) * normal + np.float32(1 if name.endswith("weight") else 0)
    return normal * np.float32(np.sqrt(2.0 / np.prod(shape[1:])))


def network_input(num_classes: int) -> Tuple[torch.Tensor, torch.Tensor]:
    """Images (2, 3, 128, 256) as after Normalize, and labels (2, 1, 128, 256) with ignored rows."""
    image = np.random.RandomState(0).standard_normal((2, 3, 128, 256)).astype(np.float32)
    label = np.random.RandomState(1).randint(0, num_classes, size=(2, 1, 16, 32)).repeat(8, 2).repeat(8, 3)
    label[:, :, :16] = 255
    return torch.from_numpy(image), torch.from_numpy(label).long()


def transform_input(seed: int, height: int, width: int) -> Dict[str, Any]:
    """A sample as the loading transforms leave it: smooth noise and a label of 5 classes."""
    rng = np.random.RandomState(seed)
    coarse = rng.randint(0, 255, (max(2, height // 7), max(2, width // 7), 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height))
    return dict(
        filename="a.jpg",
        ori_filename="a.jpg",
        img=image,
        img_shape=image.shape,
        ori_shape=image.shape,
        pad_shape=image.shape,
        scale_factor=1.0,
        flip=False,
        img_norm_cfg=dict(mean=np.zeros(3, np.float32), std=np.ones(3, np.float32), to_rgb=False),
        gt_semantic_seg=rng.randint(0, 5, (height, width)).astype(np.uint8),
        seg_fields=["gt_semantic_seg"],
        img_fields=["img"],
    )
