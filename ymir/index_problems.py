"""The lines of an index file with their numbers, and everything that is wrong with them."""

import codecs
import os
from array import array
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from mmseg.regular_files import open_regular
from ymir.errors import DatasetError
from ymir.problems import Problems
from ymir.text_list import hashes


class IndexLine(NamedTuple):
    """A line of an index file: its number from 1, and its fields."""

    number: int
    fields: Tuple[str, ...]


def index_lines(path: Path, fields: Tuple[str, ...], problems: Problems) -> Iterator[IndexLine]:
    """The lines that are as they should be; the others go to `problems`, and in the end images that share a base name.

    Args:
        fields: the names of the fields that a line has, the first one an image.
    """
    if not str(path) or str(path) == ".":
        problems.add(DatasetError("env.yaml names no index file for this task"))
        return
    numbers, keys = array("q"), array("Q")
    expected = "one image path without a tab" if len(fields) == 1 else "<TAB>".join(fields)
    empty = True
    try:
        for number, line in _lines(path):
            if isinstance(line, str) and not line.strip():
                continue
            empty = False
            found = line.split("\t") if isinstance(line, str) else ()
            if len(found) != len(fields) or not all(field.strip() for field in found) or "\0" in line:
                problems.add(DatasetError(f"{path}, line {number}: expected {expected}, found {line!r}"))
                continue
            numbers.append(number)
            keys.extend(hashes([os.path.basename(found[0])]).tolist())
            yield IndexLine(number, tuple(found))
    except OSError as error:
        problems.add(DatasetError(f"cannot read the index file {path}: {error.strerror or error}"))
        return
    if empty:
        problems.add(DatasetError(f"the index file {path} names no image"))
    _check_names(path, np.array(numbers), np.array(keys, dtype=np.uint64), problems)


def count_lines(path: Path) -> int:
    """About how many lines the file has; 0 where it cannot be read."""
    try:
        with open_regular(path) as stream:
            return 1 + sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
    except OSError:
        return 0


def _lines(path: Path) -> Iterator[Tuple[int, object]]:
    """The lines as text, those that are not UTF-8 as bytes, with their numbers."""
    with open_regular(path) as stream:
        # Lines of bytes end at the line feed alone: a path may hold the other separators at which text is split.
        for number, line in enumerate(stream, 1):
            if number == 1 and line.startswith(codecs.BOM_UTF8):
                line = line[len(codecs.BOM_UTF8) :]
            line = line.rstrip(b"\n").rstrip(b"\r")
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError:
                yield number, line


def _check_names(path: Path, numbers: np.ndarray, keys: np.ndarray, problems: Problems) -> None:
    """Report images that share a base name. `keys` are hashes of these, which take little memory for a million."""
    unique, counts = np.unique(keys, return_counts=True)
    suspects = set(numbers[np.isin(keys, unique[counts > 1])].tolist())
    if not suspects:
        return
    by_name: Dict[str, List[Tuple[int, str]]] = {}
    for number, line in _lines(path):
        if number in suspects:
            image = str(line).split("\t")[0]
            by_name.setdefault(os.path.basename(image), []).append((number, image))
    for name, (first, *others) in by_name.items():
        for number, image in others:
            problems.add(
                DatasetError(
                    f"{path}, line {number}: two images are called {name!r}: {first[1]} (line {first[0]}) and {image}; "
                    f"base names must be unique"
                )
            )
