"""The base of data sets that are made of other ones."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from mmseg.datasets.segmentation import Draw, as_draw
from mmseg.errors import ConfigError


class DatasetView(ABC):
    """Images of other data sets, each with its own pipeline, chosen and ordered by `locate`.

    A draw goes on to the data set that has the image with its seed and position, so that the same image at another
    position is another sample of it.

    Args:
        datasets: SegmentationDataset or further views; those that have classes must have the same.

    Attributes:
        images, masks, CLASSES, PALETTE, ignore_index: as those of a SegmentationDataset.

    Raises:
        ConfigError: there is no data set, one is none, or they differ in classes or ignore_index.
    """

    def __init__(self, datasets: Sequence[Any]) -> None:
        name = type(self).__name__
        if not isinstance(datasets, (list, tuple)) or not datasets:
            raise ConfigError(f"{name}: datasets must be a list of at least one data set, not {datasets!r}")
        for dataset in datasets:
            if not hasattr(dataset, "get_gt_seg_map"):
                raise ConfigError(f"{name}: a data set is expected, not {dataset!r}")
        first = datasets[0]
        for dataset in datasets[1:]:
            for attribute in ("CLASSES", "ignore_index"):
                ours, other = getattr(first, attribute), getattr(dataset, attribute)
                if ours != other:
                    raise ConfigError(f"{name}: its data sets differ in {attribute}: {ours} and {other}")
        self.datasets = list(datasets)
        self.CLASSES: Optional[Tuple[str, ...]] = first.CLASSES
        self.PALETTE: Optional[List[List[int]]] = first.PALETTE
        self.ignore_index: int = first.ignore_index

    @abstractmethod
    def locate(self, index: int) -> Tuple[Any, int]:
        """The data set that has image `index`, and its index there."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of images."""

    def __getitem__(self, item: Union[int, Draw]) -> Dict[str, Any]:
        """The sample as the pipeline of its own data set leaves it."""
        draw = as_draw(item, len(self))
        dataset, index = self.locate(draw.index)
        return dataset[draw._replace(index=index)]

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """The label mask (H, W) uint8 of an image, as evaluation compares with it."""
        dataset, index = self.locate(index)
        return dataset.get_gt_seg_map(index)

    @cached_property
    def images(self) -> List[str]:
        """Path of each image."""
        return [dataset.images[index] for dataset, index in map(self.locate, range(len(self)))]

    @cached_property
    def masks(self) -> List[Optional[str]]:
        """Path of each mask, or None."""
        return [dataset.masks[index] for dataset, index in map(self.locate, range(len(self)))]
