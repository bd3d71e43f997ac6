"""Evaluation of a model on a data set with labels."""

import itertools
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Union

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from mmseg.datasets import SegmentationDataset, TestBatch, TestLoader, build_test_loader, read_image
from mmseg.engine.distributed import world_size
from mmseg.engine.memory_advice import memory_advice
from mmseg.engine.metrics import ConfusionMatrix, Metrics, Picture
from mmseg.engine.prediction import batch_predictions
from mmseg.errors import ConfigError, DataError


class _WithLabels(Dataset):
    """The samples of a data set in test mode with their label maps as `extra`, so that workers load both."""

    def __init__(self, dataset: SegmentationDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Dict[str, Any]:
        return {**self.dataset[index], "extra": self.dataset.get_gt_seg_map(index)}


def build_evaluation_loader(
    dataset: SegmentationDataset,
    *,
    samples_per_gpu: int = 1,
    workers_per_gpu: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> TestLoader:
    """The loader of this process's share of a data set, every `world_size`-th image, with the label maps as `extra`."""
    return build_test_loader(
        _WithLabels(dataset),
        samples_per_gpu=samples_per_gpu,
        workers_per_gpu=workers_per_gpu,
        indices=range(rank, len(dataset), world_size),
    )


class LabelledPrediction(NamedTuple):
    """What a model says of an image: its place in the data set, its label (H, W) and the class map (H, W), of a narrow
    integer type and on the model's device, at the label's own size."""

    index: int
    label: np.ndarray
    class_map: torch.Tensor


def predict_labelled(
    model: nn.Module, loader: TestLoader, dataset: SegmentationDataset, device: Union[str, torch.device]
) -> Iterator[LabelledPrediction]:
    """Predict the images of a loader at their labels' own sizes, in its order.

    Args:
        model: in eval mode, on `device`.
        loader: of `build_evaluation_loader`; where its batches hold no label maps they are read here.
        dataset: what the loader loads, with ignore_index, images, masks and get_gt_seg_map.

    Raises DataError when a label's size is not its image's; it names the files.
    """
    for batch in itertools.chain.from_iterable(loader):
        labels = _labels(batch, dataset)
        size = batch.images[0].shape[-2:]
        with memory_advice(device=str(device), samples=len(batch.indices), size=size, option="image_size"):
            for prediction in batch_predictions(model, batch, device):
                position = prediction.position
                yield LabelledPrediction(batch.indices[position], labels[position], prediction.logits.class_map())


def evaluate(
    model: nn.Module,
    loader: TestLoader,
    dataset: SegmentationDataset,
    device: Union[str, torch.device],
    *,
    on_progress: Optional[Callable[[int], None]] = None,
    keep_pictures: int = 0,
    should_stop: Optional[Callable[[], bool]] = None,
) -> Metrics:
    """Predict at the labels' own sizes and compare.

    With several processes each goes through its own loader, and all get the metrics of all images.

    Args:
        model: on `device`; in eval mode during the call, afterwards in the mode that it was in.
        loader, dataset: as in `predict_labelled`; the data set has CLASSES.
        on_progress: called after each image with the number of images done by this process.
        keep_pictures: how many images to hand out as `metrics.pictures`, spread evenly over the data set.
        should_stop: asked after each image; true ends the loop of this process, so that the metrics lack the rest.

    Raises DataError when a label's size is not its image's, or it holds a value that is no class.
    """
    if dataset.CLASSES is None:
        raise ConfigError("a data set needs classes to be evaluated on")
    confusion = ConfusionMatrix(len(dataset.CLASSES), dataset.ignore_index)
    wanted = _spread(len(dataset), keep_pictures)
    pictures: List[Picture] = []
    was_training = model.training
    model.eval()
    try:
        for done, (index, label, class_map) in enumerate(predict_labelled(model, loader, dataset, device), 1):
            confusion.update(class_map, label)
            if index in wanted:
                pictures.append(_picture(dataset, index, label, class_map))
            if on_progress is not None:
                on_progress(done)
            if should_stop is not None and should_stop():
                break
    finally:
        model.train(was_training)
    confusion.all_reduce()
    return confusion.metrics(pictures)


def _spread(length: int, count: int) -> Set[int]:
    # Of the first process's share, because it is the one that shows them.
    share, processes = -(-length // world_size()), world_size()
    count = min(share, count)
    return {(2 * i + 1) * share // (2 * count) * processes for i in range(count)}


def _labels(batch: TestBatch, dataset: SegmentationDataset) -> List[np.ndarray]:
    labels = [
        dataset.get_gt_seg_map(index) if label is None else label for index, label in zip(batch.indices, batch.extra)
    ]
    for index, label, meta in zip(batch.indices, labels, batch.metas[0]):
        if tuple(label.shape) != tuple(meta["ori_shape"][:2]):
            height, width = meta["ori_shape"][:2]
            raise DataError(
                f"the label mask {dataset.masks[index]} is {label.shape[1]}x{label.shape[0]}, "
                f"but its image {dataset.images[index]} is {width}x{height}"
            )
    return labels


def _picture(dataset: SegmentationDataset, index: int, label: np.ndarray, prediction: torch.Tensor) -> Picture:
    name = dataset.images[index]
    return Picture(read_image(name), np.array(label), prediction.cpu().numpy(), str(name))
