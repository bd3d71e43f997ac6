"""Units: a few consecutive candidates that go through the network together.

They are cut once and for all, whatever the number of processes and however often a task is started again; so every
image is always worked on in the same company, which makes its numbers the same to the last bit.
"""

import numpy as np


class Units:
    """The candidates 0 … images - 1 in units of `size`, the last one perhaps smaller."""

    def __init__(self, images: int, size: int) -> None:
        self._images = images
        self._size = size

    def __len__(self) -> int:
        return -(-self._images // self._size)

    def number_of(self, position: int) -> int:
        """The unit that a candidate belongs to."""
        return position // self._size

    def positions(self, numbers: np.ndarray) -> np.ndarray:
        """The candidates of some units, one unit after the other, int64.

        Cut into pieces of `size` they are these units again, as long as the last unit of all, if it is among them,
        comes last.
        """
        positions = np.asarray(numbers, np.int64)[:, None] * self._size + np.arange(self._size)
        return positions.reshape(-1)[positions.reshape(-1) < self._images]

    def missing(self, done: np.ndarray) -> np.ndarray:
        """The numbers of the units that are not among `done`, rising, int64."""
        left = np.ones(len(self), bool)
        left[done] = False
        return np.flatnonzero(left)
