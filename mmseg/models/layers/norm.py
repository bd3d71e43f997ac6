"""Normalisation layers by the names that configs use, with the names their parameters have in checkpoints."""

from typing import Any, Mapping, Tuple

import torch
import torch.distributed as dist
import torch.nn as nn

from mmseg.registry import Registry

NORM_LAYERS = Registry("norm layer")

# What a norm layer is called inside its block, and so in checkpoints.
_NAMES = {"BN": "bn", "BN1d": "bn", "BN2d": "bn", "BN3d": "bn", "SyncBN": "bn", "GN": "gn", "LN": "ln", "IN": "in"}

NORM_LAYERS.register_module("BN")(nn.BatchNorm2d)
NORM_LAYERS.register_module("BN1d")(nn.BatchNorm1d)
NORM_LAYERS.register_module("BN2d")(nn.BatchNorm2d)
NORM_LAYERS.register_module("BN3d")(nn.BatchNorm3d)
NORM_LAYERS.register_module("IN")(nn.InstanceNorm2d)


@NORM_LAYERS.register_module("SyncBN")
def synchronised_batch_norm(
    num_features: int,
    eps: float = 1e-5,
    momentum: float = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
) -> nn.Module:
    """Batch norm whose statistics are those of all processes of a group on CUDA devices.

    Plain batch norm, with the same parameters and the same keys, where there is one process or no CUDA device: torch
    synchronises on CUDA only.
    """
    grouped = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    layer = nn.SyncBatchNorm if grouped and torch.cuda.is_available() else nn.BatchNorm2d
    return layer(num_features, eps, momentum, affine, track_running_stats)


@NORM_LAYERS.register_module("GN")
def group_norm(num_features: int, num_groups: int, eps: float = 1e-5, affine: bool = True) -> nn.Module:
    """Group norm over `num_groups` groups of channels."""
    return nn.GroupNorm(num_groups, num_features, eps, affine)


@NORM_LAYERS.register_module("LN")
def layer_norm(num_features: int, eps: float = 1e-5, elementwise_affine: bool = True) -> nn.Module:
    """Layer norm over the last dimension."""
    return nn.LayerNorm(num_features, eps, elementwise_affine)


def build_norm_layer(cfg: Mapping[str, Any], num_features: int, postfix: Any = "") -> Tuple[str, nn.Module]:
    """A norm layer over `num_features` channels and the name it goes by in a checkpoint, e.g. `("bn1", BatchNorm2d)`.

    `requires_grad=False` in `cfg` freezes scale and offset. Raises ConfigError for a type or an argument that does
    not exist.
    """
    arguments = dict(cfg) if isinstance(cfg, Mapping) else cfg
    requires_grad = arguments.pop("requires_grad", True) if isinstance(arguments, dict) else True
    layer = NORM_LAYERS.build(arguments, num_features=num_features)
    for parameter in layer.parameters():
        parameter.requires_grad_(bool(requires_grad))
    return f"{_NAMES.get(arguments['type'], 'norm')}{postfix}", layer
