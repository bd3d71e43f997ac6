"""The order in which training samples are drawn."""

from typing import Iterator, List, Sequence

import numpy as np

from mmseg.datasets.segmentation import Draw
from mmseg.errors import ConfigError, DataError


class TrainSampler:
    """The draws of each batch of one rank, without end.

    Position p of the whole run belongs to epoch p // n, n the number of images, and takes the next image of that
    epoch's permutation, `default_rng([seed, epoch])`. Of the positions of an iteration each rank takes its own share,
    so the images of an iteration depend neither on the number of ranks (for the same total) nor on where a run was
    interrupted.

    Args:
        size: number of images.
        seed: of the run, 0 or above.
        batch_size: samples an iteration and rank.
        rank, world_size: of this process, and the number of them.
        start_iteration: iterations that are already done.

    Raises:
        DataError: there is no image.
        ConfigError: another number is out of its range.
    """

    def __init__(
        self,
        size: int,
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start_iteration: int = 0,
    ) -> None:
        if size < 1:
            raise DataError("there is no image to train on: the training set is empty")
        for name, value, least in (
            ("seed", seed, 0),
            ("samples_per_gpu", batch_size, 1),
            ("world_size", world_size, 1),
            ("start_iteration", start_iteration, 0),
        ):
            if value < least:
                raise ConfigError(f"{name} must be at least {least}, not {value}")
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank must be from 0 to {world_size - 1}, not {rank}")
        self.size = size
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.start_iteration = start_iteration

    def __iter__(self) -> Iterator[List[Draw]]:
        epoch, order = -1, np.empty(0, dtype=np.int64)
        iteration = self.start_iteration
        while True:
            draws = []
            for position in self.positions(iteration):
                if position // self.size != epoch:
                    epoch = position // self.size
                    order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
                draws.append(Draw(self.seed, position, int(order[position % self.size])))
            yield draws
            iteration += 1

    def positions(self, iteration: int) -> range:
        """The positions that this rank takes in an iteration."""
        start = (iteration * self.world_size + self.rank) * self.batch_size
        return range(start, start + self.batch_size)


class ConsecutiveBatches:
    """`indices` in order, in lists of `batch_size`, the last one perhaps shorter; made while they are asked for."""

    def __init__(self, indices: Sequence[int], batch_size: int) -> None:
        self._indices = indices
        self._batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self._indices) // self._batch_size)

    def __iter__(self) -> Iterator[List[int]]:
        for start in range(0, len(self._indices), self._batch_size):
            yield [int(index) for index in self._indices[start : start + self._batch_size]]
