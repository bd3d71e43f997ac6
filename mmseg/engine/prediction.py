"""From batches of test samples to logits at the images' own sizes."""

from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import torch
from torch import nn

from mmseg.datasets import TestBatch
from mmseg.torch_compat import inference_mode

Size = Tuple[int, int]


def batch_logits(
    model: nn.Module, batch: TestBatch, device: Union[str, torch.device]
) -> Iterator[Tuple[List[int], torch.Tensor]]:
    """The logits of a batch, a piece for each set of images that have one original size.

    Padding is cut off before the logits are resized to the original size; several views of an image (test-time
    augmentation) are averaged.

    Args:
        model: in eval mode, on `device`.
        batch: images (B, 3, h, w) of each view, with `ori_shape`, `img_shape`, `flip` and `flip_direction` as metas.

    Yields:
        (positions in the batch, logits (n, C, H, W) on `device` in their order).
    """
    groups: Dict[Any, List[int]] = {}
    for position in range(len(batch.indices)):
        views = tuple(_view(metas[position]) for metas in batch.metas)
        groups.setdefault((_size(batch.metas[0][position], "ori_shape"), views), []).append(position)
    for (size, views), positions in groups.items():
        whole = len(positions) == len(batch.indices)
        images = [
            (view if whole else view[positions]).to(device, memory_format=torch.channels_last, non_blocking=True)
            for view in batch.images
        ]
        contents, flips = [content for content, _ in views], [flip for _, flip in views]
        with inference_mode():
            if len(images) == 1 and flips[0] is None:
                logits = model.inference(images[0], size, contents[0])
            else:
                logits = model.inference_views(images, flips, size, contents)
        yield positions, logits


def _size(meta: Dict[str, Any], key: str) -> Size:
    height, width = meta[key][:2]
    return int(height), int(width)


def _view(meta: Dict[str, Any]) -> Tuple[Size, Optional[str]]:
    return _size(meta, "img_shape"), meta.get("flip_direction", "horizontal") if meta.get("flip") else None
