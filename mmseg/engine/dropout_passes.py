"""Several predictions of the same images by dropout.

Gal, Ghahramani: Dropout as a Bayesian approximation: representing model uncertainty in deep learning, ICML 2016.
"""

import contextlib
from dataclasses import dataclass
from typing import Iterator, List, Union

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from mmseg.errors import ConfigError


@dataclass(frozen=True)
class DropoutEnsemble:
    """Predict each image several times with its network's dropout switched on.

    Args:
        samples: predictions of an image.
        seed: of what is dropped, together with the index of a batch's first image.

    Raises:
        ConfigError: there are not at least two samples.
    """

    samples: int
    seed: int

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ConfigError(
                f"predictions with dropout can be compared where there are at least 2, not {self.samples}"
            )


def dropout_passes(model: nn.Module, images: torch.Tensor, samples: int) -> Iterator[torch.Tensor]:
    """Raw logits (B, C, h, w) of `samples` passes with dropout; batch norm stays in eval mode.

    Features are computed once where nothing is dropped before the decode head.

    Args:
        model: an EncoderDecoder in eval mode.
        images: (B, 3, H, W), already normalised.
        samples: the number of passes.

    Raises:
        ConfigError: the model drops nothing.
    """
    encoder = [part for part in (model.backbone, model.neck) if part is not None]
    in_encoder = [layer for part in encoder for layer in _dropout_layers(part)]
    layers = in_encoder + _dropout_layers(model.decode_head)
    if not layers:
        raise ConfigError(
            "the model has no dropout, so its predictions with dropout would all be the same: it needs a "
            "dropout_ratio above 0 in its decode_head"
        )
    share = not in_encoder and not model.slides
    features = model.extract_feat(images) if share else None
    for _ in range(samples):
        with _switched_on(layers):
            logits = model.decode(features) if share else model.raw_logits(images)
        yield logits


@contextlib.contextmanager
def own_randomness(device: Union[str, torch.device], *seed: int) -> Iterator[None]:
    """For a `with` block, seed the generators of the CPU and of one device by several numbers; afterwards they go
    on as if nothing had been drawn."""
    device = torch.device(device)
    number = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> np.uint64(1))
    gpus = [torch.cuda.current_device() if device.index is None else device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(number)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(number)
        yield


def _dropout_layers(module: nn.Module) -> List[nn.Module]:
    return [layer for layer in module.modules() if _drops(layer)]


def _drops(layer: nn.Module) -> bool:
    if isinstance(layer, _DropoutNd):
        return layer.p > 0
    if isinstance(layer, nn.MultiheadAttention):
        return layer.dropout > 0
    # Stochastic depth: the project's own layer, and timm's.
    return type(layer).__name__ == "DropPath" and bool(layer.drop_prob)


@contextlib.contextmanager
def _switched_on(layers: List[nn.Module]) -> Iterator[None]:
    before = [layer.training for layer in layers]
    # Not by train(), which would reach the layers below an attention as well.
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, training in zip(layers, before):
            layer.training = training
