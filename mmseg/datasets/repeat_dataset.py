"""A data set that counts several times."""

from typing import Any, Tuple

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.dataset_view import DatasetView
from mmseg.datasets.transforms.arguments import is_positive_int, require


@DATASETS.register_module()
class RepeatDataset(DatasetView):
    """The images of a data set, all of them `times` times in a row: an epoch of a small set becomes longer.

    Args:
        dataset: the data set (in a config: the config of one, or a list of them).
        times: how many times.

    Raises:
        ConfigError: `times` is not a positive integer.
    """

    def __init__(self, dataset: Any, times: int) -> None:
        require(is_positive_int(times), self, "times", "a positive integer", times)
        super().__init__([dataset])
        self.times = times

    def __len__(self) -> int:
        return self.times * len(self.datasets[0])

    def locate(self, index: int) -> Tuple[Any, int]:
        """The data set, and the index of the image in it."""
        return self.datasets[0], index % len(self.datasets[0])
