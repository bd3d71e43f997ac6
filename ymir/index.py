"""The platform's index files: which images, and for training which annotation belongs to each.

ymir-exc reads them too, but strips spaces that belong to a path and turns a blank line into an item, so they are
read here.
"""

import os
from pathlib import Path
from typing import Dict, List, NamedTuple

from ymir.errors import DatasetError


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
    _check_names(path, [item.image for item in items])
    return items


def read_candidate_index(path: Path) -> List[str]:
    """The lines `IMAGE` of a candidate index, under the same rules."""
    images = []
    for number, line in _lines(path):
        if "\t" in line:
            raise DatasetError(f"{path}, line {number}: expected one image path without a tab, found {line!r}")
        images.append(line)
    _check_names(path, images)
    return images


def _lines(path: Path):
    if not str(path) or str(path) == ".":
        raise DatasetError("env.yaml names no index file for this task")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"cannot read the index file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"the index file {path} is not UTF-8: {error}") from error
    # Not splitlines(): a path may hold the separators that it splits at besides the line feed.
    found = [(n, line.rstrip("\r")) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not found:
        raise DatasetError(f"the index file {path} names no image")
    return found


def _check_names(path: Path, images: List[str]) -> None:
    seen: Dict[str, str] = {}
    for image in images:
        name = os.path.basename(image)
        if name in seen:
            raise DatasetError(
                f"{path}: two images are called {name!r}: {seen[name]} and {image}; base names must be unique"
            )
        seen[name] = image
