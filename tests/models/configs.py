"""Small model configs for the tests, and the deterministic weights of the reference data."""

import copy
import zlib
from typing import Any, Dict

import numpy as np
import torch
import torch.nn as nn

NORM = {"type": "SyncBN", "requires_grad": True, "momentum": 0.01}
SIGMOID = {"type": "CrossEntropyLoss", "use_sigmoid": True}


def fast_scnn(num_classes: int = 19, **model: Any) -> Dict[str, Any]:
    """The published Fast-SCNN for Cityscapes, with another number of classes; `model` replaces entries."""

    def auxiliary(in_channels: int, in_index: int) -> Dict[str, Any]:
        return {
            "type": "FCNHead",
            "in_channels": in_channels,
            "channels": 32,
            "num_convs": 1,
            "num_classes": num_classes,
            "in_index": in_index,
            "norm_cfg": NORM,
            "concat_input": False,
            "align_corners": False,
            "loss_decode": {**SIGMOID, "loss_weight": 0.4},
        }

    cfg = {
        "type": "EncoderDecoder",
        "backbone": {"type": "FastSCNN", "norm_cfg": NORM, "align_corners": False},
        "decode_head": {
            "type": "DepthwiseSeparableFCNHead",
            "in_channels": 128,
            "channels": 128,
            "concat_input": False,
            "num_classes": num_classes,
            "in_index": -1,
            "norm_cfg": NORM,
            "align_corners": False,
            "loss_decode": {**SIGMOID, "loss_weight": 1.0},
        },
        "auxiliary_head": [auxiliary(128, -2), auxiliary(64, -3)],
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
        **model,
    }
    return copy.deepcopy(cfg)


def tiny(num_classes: int = 5, **model: Any) -> Dict[str, Any]:
    """A narrow Fast-SCNN with one plain head: fast enough for many passes."""
    cfg = {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "FastSCNN",
            "downsample_dw_channels": (4, 6),
            "global_in_channels": 8,
            "global_block_channels": (8, 8, 8),
            "global_out_channels": 8,
            "higher_in_channels": 8,
            "lower_in_channels": 8,
            "fusion_out_channels": 8,
        },
        "decode_head": {
            "type": "FCNHead",
            "in_channels": 8,
            "channels": 8,
            "num_convs": 1,
            "concat_input": False,
            "num_classes": num_classes,
            "norm_cfg": {"type": "BN"},
        },
        **model,
    }
    return copy.deepcopy(cfg)


def reference_value(name: str, shape: Any) -> np.ndarray:
    """The value that a state_dict entry has in the reference data."""
    z = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(shape)).astype(np.float32)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        return 1 + 0.1 * np.abs(z)
    if name.endswith("running_mean"):
        return 0.1 * z
    if len(shape) <= 1:
        return 1 + 0.1 * z if name.endswith("weight") else 0.1 * z
    return z * np.float32(np.sqrt(2.0 / np.prod(shape[1:])))


def fill(model: nn.Module) -> nn.Module:
    """Give a model the weights of the reference data."""
    values = {
        name: torch.from_numpy(np.asarray(reference_value(name, value.shape)))
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(values)
    return model


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Equal up to rounding, shapes included (torch's own check has another name in every version)."""
    np.testing.assert_equal(tuple(ours.shape), tuple(theirs.shape))
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)
