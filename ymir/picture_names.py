"""File names for pictures about candidates."""

import os
from typing import Sequence

import numpy as np

from ymir.text_list import hashes

# Bytes that are left of the 255 of a file name beside an extension of four.
_LONGEST = 251


class PictureNames:
    """For each image a file name without extension: its own, which keeps its extension where another image has the
    same name but for that, or is called so as a whole.

    Takes 32 bytes an image while it is made, and then only what the ambiguous names need.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        names = np.sort(np.concatenate([hashes(map(_stem, images)), hashes(map(os.path.basename, images))]))
        # Should two names ever share a hash without being equal, both keep their extensions, which does no harm.
        self._ambiguous = np.unique(names[1:][names[1:] == names[:-1]])

    def __getitem__(self, position: int) -> str:
        image = self._images[position]
        if len(self._ambiguous) and hashes([_stem(image)])[0] in self._ambiguous:
            return _shortened(os.path.basename(image))
        return _shortened(_stem(image))


def _shortened(name: str) -> str:
    """`name`, or as much of its beginning as leaves room for an extension, and a hash of all of it."""
    encoded = name.encode("utf-8")
    if len(encoded) <= _LONGEST:
        return name
    mark = f"-{hashes([name])[0]:016x}"
    return encoded[: _LONGEST - len(mark)].decode("utf-8", "ignore") + mark


def _stem(image: str) -> str:
    return os.path.splitext(os.path.basename(image))[0]
