"""Data sets one after the other."""

from bisect import bisect_right
from itertools import accumulate
from typing import Any, Sequence, Tuple

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.dataset_view import DatasetView


@DATASETS.register_module()
class ConcatDataset(DatasetView):
    """The images of several data sets, one data set after the other.

    Args:
        datasets: the data sets (in a config: their configs), with the same classes.
        separate_eval: accepted so that old configs run. Evaluation always counts the pixels of all of them together,
            because a training has one score by which its best checkpoint is chosen.

    Raises:
        ConfigError: there is no data set, or they differ in classes or ignore_index.
    """

    def __init__(self, datasets: Sequence[Any], separate_eval: bool = True) -> None:
        super().__init__(datasets)
        self._ends = list(accumulate(len(dataset) for dataset in datasets))

    def __len__(self) -> int:
        return self._ends[-1]

    def locate(self, index: int) -> Tuple[Any, int]:
        """The data set that has image `index`, and its index there."""
        number = bisect_right(self._ends, index)
        return self.datasets[number], index - (self._ends[number - 1] if number else 0)
