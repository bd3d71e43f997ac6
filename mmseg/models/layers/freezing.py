"""Parts of a network that training leaves as they are."""

from typing import Iterable

import torch.nn as nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(parts: Iterable[nn.Module]) -> None:
    """Take the parameters of `parts` out of training, and keep their running statistics by eval mode."""
    for part in parts:
        part.eval()
        for parameter in part.parameters():
            parameter.requires_grad_(False)


def fix_batch_norm(module: nn.Module) -> None:
    """Keep the running statistics of every batch norm inside `module`, by eval mode; its scale and offset still train.

    For a network that is to be fine-tuned on batches too small for statistics (`norm_eval` in configs).
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()
