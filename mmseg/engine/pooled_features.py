"""One vector for each image of a batch: the mean of what the network's classifier sees."""

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import nn

from mmseg.errors import ConfigError
from mmseg.models.segmentors.sliding_window import windows

Size = Tuple[int, int]


class PooledFeatures:
    """Within a `with` block, watches one pass of the model over a batch.

    The features are the input of the last convolution that classifies every pixel: that of the head whose logits are
    the prediction, or where it classifies single points only, as PointRend's does, of the head before it. Where windows
    overlap, their common pixels count once for each.

    Args:
        model: an EncoderDecoder.
        input_size: (height, width) of the images.
        content_sizes: for each image, (height, width) of what is not padding, at its top left.

    Raises:
        ConfigError: no head of the model classifies every pixel.
    """

    def __init__(self, model: nn.Module, input_size: Size, content_sizes: Sequence[Size]) -> None:
        self._classifier = _classifier(model)
        self._content_sizes = list(content_sizes)
        self._areas = [(slice(0, input_size[0]), slice(0, input_size[1]))]
        if model.slides:
            self._areas = list(windows(input_size, model.test_cfg["crop_size"], model.test_cfg["stride"]))
        self._calls = 0
        self._sums: Optional[torch.Tensor] = None
        self._counts = [0] * len(self._content_sizes)
        self._hook: Any = None

    def __enter__(self) -> "PooledFeatures":
        self._hook = self._classifier.register_forward_pre_hook(self._look)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._hook.remove()

    def mean(self) -> torch.Tensor:
        """(B, D) float32 on the model's device: the mean over the pixels of each image's content."""
        if self._calls != len(self._areas):
            raise ConfigError(
                f"the decode head was expected to classify the pixels of an image once, in {len(self._areas)} parts, "
                f"but did it in {self._calls}, so it has no single feature map"
            )
        return self._sums / torch.tensor(self._counts, device=self._sums.device)[:, None]

    def _look(self, module: nn.Module, inputs: Tuple[torch.Tensor, ...]) -> None:
        features = inputs[0]
        if self._calls < len(self._areas):
            self._add(features, *self._areas[self._calls])
        self._calls += 1

    def _add(self, features: torch.Tensor, rows: slice, columns: slice) -> None:
        if self._sums is None:
            self._sums = features.new_zeros(features.shape[:2], dtype=torch.float32)
        for image, (height, width) in enumerate(self._content_sizes):
            inside_y = _inside(height, rows, features.shape[2])
            inside_x = _inside(width, columns, features.shape[3])
            content = features[image, :, :inside_y, :inside_x].float()
            self._sums[image] += content.sum((1, 2))
            self._counts[image] += inside_y * inside_x


def _classifier(model: nn.Module) -> nn.Module:
    heads: List[nn.Module] = (
        list(model.decode_head) if isinstance(model.decode_head, nn.ModuleList) else [model.decode_head]
    )
    for head in reversed(heads):
        classifier = getattr(head, "conv_seg", None)
        if isinstance(classifier, nn.Conv2d):
            return classifier
    names = ", ".join(type(head).__name__ for head in heads)
    raise ConfigError(f"the decode head {names} has no conv_seg, the layer whose input are an image's features")


def _inside(length: int, part: slice, feature_length: int) -> int:
    """How many of the feature pixels along a part of the image have their centres in the image's first `length` pixels;
    at least one where any of those pixels is in the part."""
    inside = min(length, part.stop) - part.start
    if inside <= 0:
        return 0
    centres = inside * feature_length / (part.stop - part.start) + 0.5
    return min(max(int(centres), 1), feature_length)
