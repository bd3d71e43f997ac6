"""From batches of test samples to logits at the images' own sizes."""

from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import nn

from mmseg.datasets import TestBatch
from mmseg.engine.dropout_passes import DropoutEnsemble, dropout_passes, own_randomness
from mmseg.engine.logit_bands import LogitBands
from mmseg.engine.pooled_features import PooledFeatures
from mmseg.torch_compat import inference_mode

Size = Tuple[int, int]


@dataclass(frozen=True)
class FlipEnsemble:
    """Predict each image and its mirror image, and of test-time augmentation every view; these have mirror images of
    their own already where it flips."""


Ensemble = Union[DropoutEnsemble, FlipEnsemble]


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """What a model says about one image.

    Args:
        position: of the image in its batch.
        logits: at the image's own size, on the model's device.
        features: (D,) float32 where they were asked for, see PooledFeatures.
    """

    position: int
    logits: LogitBands
    features: Optional[torch.Tensor] = None


class _View(NamedTuple):
    """One view of a batch's images, and what is known of each of them in it."""

    images: torch.Tensor  # (B, 3, h, w) on the model's device
    content_sizes: List[Size]  # of what is not padding, at the top left
    flips: List[Optional[str]]


def batch_predictions(
    model: nn.Module,
    batch: TestBatch,
    device: Union[str, torch.device],
    *,
    ensemble: Optional[Ensemble] = None,
    features: bool = False,
    at_once: Optional[int] = None,
) -> Iterator[ImagePrediction]:
    """Predict the images of a batch.

    The network's own logits of what it saw at once are kept until the last prediction of it has been dropped. Several
    views of an image (test-time augmentation) and the predictions of an ensemble are averaged; they are
    `logits.members()`. With dropout each member is one sample's mean over the views.

    Args:
        model: an EncoderDecoder in eval mode, on `device`.
        batch: images (B, 3, h, w) of each view, with `ori_shape`, `img_shape`, `flip` and `flip_direction` as metas.
        ensemble: makes several predictions of each image.
        features: whether to give the features too, of the first view and without dropout.
        at_once: how many images go through the network together. By default all of them, but one by one on a CPU: that
            gains nothing by a batch, and as it adds in another order there, an image's last digits would depend on the
            images beside it.

    Yields:
        A prediction for each image, in the order of the batch.

    Raises:
        ConfigError: the model has no dropout to sample from, or no features.
    """
    if at_once is None:
        at_once = 1 if torch.device(device).type == "cpu" else len(batch.indices)
    for first in range(0, len(batch.indices), at_once):
        part = _part(batch, slice(first, first + at_once))
        for prediction in _predictions_at_once(model, part, device, ensemble, features):
            yield replace(prediction, position=first + prediction.position)


def _part(batch: TestBatch, images: slice) -> TestBatch:
    return TestBatch(
        indices=batch.indices[images],
        images=[view[images] for view in batch.images],
        metas=[view[images] for view in batch.metas],
        extra=batch.extra[images],
    )


def _predictions_at_once(
    model: nn.Module,
    batch: TestBatch,
    device: Union[str, torch.device],
    ensemble: Optional[Ensemble],
    features: bool,
) -> Iterator[ImagePrediction]:
    with inference_mode():
        views = _views(batch, device)
        if isinstance(ensemble, FlipEnsemble) and not any(flip for view in views for flip in view.flips):
            views = [both for view in views for both in (view, _mirrored(view))]
        pooled: Optional[torch.Tensor] = None
        if isinstance(ensemble, DropoutEnsemble):
            if features:
                pooled = _with_features(model, views[0])[1]
            with own_randomness(device, ensemble.seed, batch.indices[0]):
                by_view = [list(dropout_passes(model, view.images, ensemble.samples)) for view in views]
            samples = [list(logits) for logits in zip(*by_view)]
        else:
            first, pooled = _with_features(model, views[0]) if features else (model.raw_logits(views[0].images), None)
            samples = [[first, *(model.raw_logits(view.images) for view in views[1:])]]
    for position in range(len(batch.indices)):
        size = _size(batch.metas[0][position], "ori_shape")
        means = [
            LogitBands.mean([_bands(model, view, raw, position, size) for view, raw in zip(views, sample)])
            for sample in samples
        ]
        yield ImagePrediction(position, LogitBands.mean(means), None if pooled is None else pooled[position])


def _views(batch: TestBatch, device: Union[str, torch.device]) -> List[_View]:
    views = []
    for images, metas in zip(batch.images, batch.metas):
        on_device = images.to(device, memory_format=torch.channels_last, non_blocking=True)
        views.append(_View(on_device, [_size(meta, "img_shape") for meta in metas], [_flip(meta) for meta in metas]))
    return views


def _mirrored(view: _View) -> _View:
    """The view with each image's content mirrored in its place, so that padding stays on the right."""
    images = view.images.clone()
    for image, (height, width) in zip(images, view.content_sizes):
        image[:, :height, :width] = image[:, :height, :width].flip(2)
    return _View(images, view.content_sizes, ["horizontal"] * len(images))


def _with_features(model: nn.Module, view: _View) -> Tuple[torch.Tensor, torch.Tensor]:
    height, width = view.images.shape[2:]
    with PooledFeatures(model, (int(height), int(width)), view.content_sizes) as pooled:
        logits = model.raw_logits(view.images)
    return logits, pooled.mean()


def _bands(model: nn.Module, view: _View, raw: torch.Tensor, position: int, size: Size) -> LogitBands:
    height, width = view.images.shape[2:]
    return LogitBands.resized(
        raw[position],
        input_size=(int(height), int(width)),
        content_size=view.content_sizes[position],
        size=size,
        align_corners=model.align_corners,
        flip=view.flips[position],
        threshold=model.final_head.threshold if model.out_channels == 1 else None,
    )


def _size(meta: Dict[str, Any], key: str) -> Size:
    height, width = meta[key][:2]
    return int(height), int(width)


def _flip(meta: Dict[str, Any]) -> Optional[str]:
    return meta.get("flip_direction", "horizontal") if meta.get("flip") else None
