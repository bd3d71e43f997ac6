"""The pool of mining as it lies in a journal: read in order, one image at a time, as often as it is asked for."""

from typing import Iterator

import numpy as np

from ymir.journal.records import Journal
from ymir.mining import RegionScores


class JournalPool:
    """The region scores at some positions of a journal.

    Args:
        journal: where they are.
        kind: of their records.
        positions: of the images, in the order of the pool.
    """

    def __init__(self, journal: Journal, kind: int, positions: np.ndarray) -> None:
        self._journal = journal
        self._kind = kind
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[RegionScores]:
        for position in self._positions:
            yield RegionScores.from_bytes(self._journal.read(int(position), self._kind))
