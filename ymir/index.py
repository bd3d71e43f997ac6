"""The platform's index files: which images, and for training which annotation belongs to each.

ymir-exc reads them too, but strips spaces that belong to a path and turns a blank line into an item, so they are
read here.
"""

import codecs
import os
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from mmseg.regular_files import open_regular
from ymir.errors import DatasetError
from ymir.text_list import TextList, repeated


class IndexItem(NamedTuple):
    """One line of an index file; the paths are kept as they stand there, because result.tsv repeats them."""

    image: str
    annotation: str


def read_annotated_index(path: Path) -> List[IndexItem]:
    """The lines `IMAGE<TAB>ANNOTATION` of a training or validation index.

    Raises:
        DatasetError: the file is missing, empty, not UTF-8, a line has not two fields, or two images share a base name.
    """
    items = []
    for number, line in _lines(path):
        fields = line.split("\t")
        if len(fields) != 2 or not all(fields):
            raise DatasetError(f"{path}, line {number}: expected IMAGE<TAB>ANNOTATION, found {line!r}")
        items.append(IndexItem(*fields))
    _check(path, [item.image for item in items])
    return items


def read_candidate_index(path: Path) -> TextList:
    """The lines `IMAGE` of a candidate index, under the same rules, in memory little larger than the file."""
    images = TextList(_candidates(path))
    _check(path, images)
    return images


def _candidates(path: Path) -> Iterator[str]:
    for number, line in _lines(path):
        if "\t" in line:
            raise DatasetError(f"{path}, line {number}: expected one image path without a tab, found {line!r}")
        yield line


def _lines(path: Path) -> Iterator[Tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    if not str(path) or str(path) == ".":
        raise DatasetError("env.yaml names no index file for this task")
    try:
        with open_regular(path) as stream:
            # Lines of bytes end at the line feed alone: a path may hold the other separators at which text is split.
            for number, line in enumerate(stream, 1):
                if number == 1 and line.startswith(codecs.BOM_UTF8):
                    line = line[len(codecs.BOM_UTF8) :]
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DatasetError(f"the index file {path} is not UTF-8: line {number}: {error}") from error
                if text.strip():
                    yield number, text.rstrip("\n").rstrip("\r")
    except OSError as error:
        raise DatasetError(f"cannot read the index file {path}: {error.strerror or error}") from error


def _check(path: Path, images: Sequence[str]) -> None:
    if not images:
        raise DatasetError(f"the index file {path} names no image")
    pair = repeated(images, os.path.basename)
    if pair is not None:
        first, second = (images[position] for position in pair)
        raise DatasetError(
            f"{path}: two images are called {os.path.basename(second)!r}: {first} and {second}; base names must be "
            f"unique"
        )
