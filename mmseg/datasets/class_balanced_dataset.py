"""Images with rare classes more often."""

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, FrozenSet, List, Sequence, Tuple

import numpy as np

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.dataset_view import DatasetView
from mmseg.datasets.transforms.arguments import is_number, is_positive_int, require
from mmseg.datasets.transforms.loading import IGNORED

logger = logging.getLogger("mmseg")


@DATASETS.register_module()
class ClassBalancedDataset(DatasetView):
    """Repeat factor sampling (Gupta et al., "LVIS", CVPR 2019, section on oversampling), for label masks.

    f(c) is the share of the images in which class c occurs. A class has the repeat factor
    r(c) = max(1, sqrt(oversample_thr / f(c))), an image that of its class with the largest, and occurs ceil(r) times in
    an epoch. So classes of at least oversample_thr of the images are left as they are.

    All label masks are read once, when the data set is built.

    Args:
        dataset: the data set (in a config: the config of one, or a list of them).
        oversample_thr: from 0 (nothing is repeated) to 1.
        num_threads: that read masks.

    Attributes:
        repeats: how many times each image of `dataset` occurs.

    Raises:
        ConfigError: an argument is none of these.
        DataError: an image has no label mask, or it cannot be read.
    """

    def __init__(self, dataset: Any, oversample_thr: float, num_threads: int = 4) -> None:
        valid = is_number(oversample_thr) and 0 <= oversample_thr <= 1
        require(valid, self, "oversample_thr", "a number from 0 to 1", oversample_thr)
        require(is_positive_int(num_threads), self, "num_threads", "a positive integer", num_threads)
        super().__init__([dataset])
        with ThreadPoolExecutor(num_threads) as pool:
            present = list(pool.map(self._classes_of, range(len(dataset))))
        self.repeats = [math.ceil(factor) for factor in repeat_factors(present, oversample_thr)]
        self._indices = np.repeat(np.arange(len(dataset)), self.repeats)
        logger.info("%d images became %d by the balancing of classes", len(dataset), len(self))

    def _classes_of(self, index: int) -> FrozenSet[int]:
        labels = np.unique(self.datasets[0].get_gt_seg_map(index)).tolist()
        return frozenset(labels) - {self.ignore_index, IGNORED}

    def __len__(self) -> int:
        return len(self._indices)

    def locate(self, index: int) -> Tuple[Any, int]:
        """The data set, and the index of the image in it."""
        return self.datasets[0], int(self._indices[index])


def repeat_factors(classes_of_images: Sequence[FrozenSet[int]], threshold: float) -> List[float]:
    """The repeat factor of each image, 1 or more, from the classes that occur in it."""
    counts: Dict[int, int] = {}
    for classes in classes_of_images:
        for label in classes:
            counts[label] = counts.get(label, 0) + 1
    total = len(classes_of_images)
    factors = {label: max(1.0, math.sqrt(threshold * total / count)) for label, count in counts.items()}
    return [max((factors[label] for label in classes), default=1.0) for classes in classes_of_images]
