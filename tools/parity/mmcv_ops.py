"""Stand-ins for mmcv's compiled operators, for the lite package that has none.

`point_sample` is defined by what it computes; whatever else is asked for can be imported but not used, so that a
model which needs it does not build and is reported so.
"""

import sys
import types
from typing import Any

import torch
import torch.nn.functional as F


class MissingOperator:
    """Any operator that the lite package does not have."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("needs a compiled operator of mmcv-full")


def point_sample(input: torch.Tensor, points: torch.Tensor, align_corners: bool = False, **options: Any):
    """Bilinear samples (B, C, P) or (B, C, P, Q) of `input` at points (B, P[, Q], 2) of [0, 1] × [0, 1]."""
    grid = points if points.dim() == 4 else points[:, :, None]
    found = F.grid_sample(input, 2 * grid - 1, align_corners=align_corners, **options)
    return found if points.dim() == 4 else found[..., 0]


def install() -> bool:
    """Put the stand-ins in the place of `mmcv.ops` where it cannot be imported; returns whether they were needed."""
    try:
        import mmcv.ops  # noqa: F401
    except (ImportError, AssertionError):
        pass
    else:
        return False
    module = types.ModuleType("mmcv.ops")
    module.__path__ = []
    module.point_sample = point_sample

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MissingOperator

    module.__getattr__ = missing
    sys.modules["mmcv.ops"] = module
    return True
