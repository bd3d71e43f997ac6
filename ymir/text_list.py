"""Long lists of text in few objects: a million paths take little more memory than their file, and processes that are
forked share them, because nothing is written into them when an entry is read."""

import hashlib
from array import array
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sequence, Tuple

import numpy as np


class TextList(Sequence[str]):
    """An immutable sequence of texts, kept as one buffer of UTF-8 and the end of each of them in it."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        buffer, ends = bytearray(), array("q")
        for text in texts:
            buffer += text.encode("utf-8")
            ends.append(len(buffer))
        self._buffer = bytes(buffer)
        self._ends = np.array(ends, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return TextList(self[number] for number in range(*position.indices(len(self))))
        position = int(position)
        if position < 0:
            position += len(self)
        if not 0 <= position < len(self):
            raise IndexError(f"there is no entry {position} among {len(self)}")
        start = int(self._ends[position - 1]) if position else 0
        return self._buffer[start : int(self._ends[position])].decode("utf-8")

    def __iter__(self) -> Iterator[str]:
        for position in range(len(self)):
            yield self[position]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (TextList, list, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other))

    __hash__ = None  # type: ignore[assignment] - it equals lists, which have none

    def __repr__(self) -> str:
        return f"TextList({list(self[:3])}{' …' if len(self) > 3 else ''})"


def hashes(texts: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of each text, (texts,) uint64, the same in every process."""
    digests = (hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest() for text in texts)
    return np.array(array("Q", map(_number, digests)), dtype=np.uint64)


def repeated(texts: Sequence[str], key: Callable[[str], str]) -> Optional[Tuple[int, int]]:
    """The first text whose `key` one before it had: (position of that one, its own position), or None.

    Takes 16 bytes a text; only texts whose keys have one hash are compared.
    """
    hashed = hashes(map(key, texts))
    order = np.argsort(hashed, kind="stable")
    hashed = hashed[order]
    same = np.flatnonzero(hashed[1:] == hashed[:-1])
    suspects = np.unique(np.concatenate([order[same], order[same + 1]]))
    first: Dict[str, int] = {}
    for position in suspects:
        name = key(texts[position])
        if name in first:
            return first[name], int(position)
        first[name] = int(position)
    return None


def _number(digest: bytes) -> int:
    return int.from_bytes(digest, "little")
