"""COCO annotations as the platform gives them: which of a file's annotations belong to an image, and its label mask."""

import json
import os
import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Container, Dict, Iterator, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from mmseg.regular_files import open_regular
from ymir.annotations.json_stream import Element, JsonError, NotAnObject, read_lists
from ymir.annotations.segmentation import decode_segmentation, shown
from ymir.errors import DatasetError
from ymir.rle import encode_class_map

__all__ = ["UNCOVERED", "CocoFile", "decode_segmentation", "draw_label_mask", "encode_class_map", "read_coco"]

UNCOVERED = 0

_NUMBER = re.compile("0|-?[1-9][0-9]{0,17}")

Id = Union[int, str]
Report = Callable[[DatasetError], None]


@dataclass(frozen=True)
class CocoFile:
    """A COCO json, arranged by the base name of its images.

    The annotations stay in the file until they are asked for: 16 bytes for each say where.

    Attributes:
        places: for each image, where in the file its annotations are, as bytes start, end, start, end, …
    """

    path: Path
    category_names: Mapping[Id, str]
    places: Mapping[str, array]

    def __contains__(self, image_name: object) -> bool:
        return image_name in self.places

    def annotations_of(self, image_name: str) -> Iterator[Mapping[str, Any]]:
        """The annotations of an image in the order of the file; none where the file does not know the image.

        Raises:
            DatasetError: the file can no longer be read.
        """
        places = self.places.get(image_name)
        if not places:
            return
        try:
            with open(self.path, "rb") as stream:
                for start, end in zip(places[0::2], places[1::2]):
                    stream.seek(start)
                    yield json.loads(stream.read(end - start).decode("utf-8"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"the annotation file {self.path} has changed while it was read: {error}") from error

    def category_name(self, annotation: Mapping[str, Any]) -> Optional[str]:
        """The name of an annotation's category, None where the file has no such category."""
        return self.category_names.get(_id(annotation["category_id"]))


def read_coco(path: Path, report: Optional[Report] = None) -> CocoFile:
    """Read a COCO json as a stream; its size does not matter.

    Args:
        report: called with every fault that does not keep the rest from being read; without it the first is raised.

    Raises:
        DatasetError: the file cannot be read, or lacks what every COCO json has.
    """
    reader = _CocoReader(Path(path), report or _raise)
    try:
        with open_regular(path) as stream:
            kinds = read_lists(stream, reader.take)
    except OSError as error:
        raise DatasetError(f"cannot read the annotation file {path}: {error.strerror or error}") from error
    except NotAnObject as error:
        raise DatasetError(f"the annotation file {path} holds a {error}, but must be a COCO object") from error
    except JsonError as error:
        raise DatasetError(f"the annotation file {path} is not valid JSON: {error}") from error
    return reader.result(kinds)


def draw_label_mask(coco: CocoFile, image_name: str, shape: Tuple[int, int], class_names: Sequence[str]) -> np.ndarray:
    """The label mask of one image: (H, W) uint8, 0 where no annotation of a known class lies, i + 1 where class i does.

    Later annotations lie over earlier ones. An image the file does not know has no annotation.

    Raises:
        DatasetError: a segmentation is of no known form or does not fit the image.
    """
    mask = np.full(shape, UNCOVERED, np.uint8)
    position = {name: index + 1 for index, name in enumerate(class_names)}
    for where, name, segmentation in segmentations_of(coco, image_name, position):
        mask[decode_segmentation(segmentation, shape, where)] = position[name]
    return mask


def segmentations_of(coco: CocoFile, image_name: str, class_names: Container[str]) -> Iterator[Tuple[str, str, Any]]:
    """For each annotation of an image whose class is among `class_names`: words that say which it is, the name of its
    class, its segmentation."""
    for annotation in coco.annotations_of(image_name):
        name = coco.category_name(annotation)
        if name in class_names:
            yield (
                f"{coco.path}: annotation {shown(annotation.get('id'))} of {image_name}",
                name,
                annotation.get("segmentation"),
            )


class _CocoReader:
    """Takes the elements of a COCO json as they come; its lists stand in any order."""

    def __init__(self, path: Path, report: Report) -> None:
        self._where = f"the annotation file {path}"
        self._path = path
        self._report = report
        self._images: Dict[Id, str] = {}
        self._categories: Dict[Id, str] = {}
        self._places: Dict[Id, array] = {}
        self._takes = {"images": self._image, "categories": self._category, "annotations": self._annotation}

    def take(self, section: str, element: Element) -> None:
        take = self._takes.get(section)
        if take is None:
            return
        if isinstance(element.value, dict):
            take(element)
        else:
            self._report(DatasetError(f"{self._where}: {section} holds {shown(element.value)}, which is no object"))

    def result(self, kinds: Mapping[str, str]) -> CocoFile:
        for section in self._takes:
            kind = kinds.get(section, "nothing")
            if kind != "list" and not (section == "annotations" and kind == "nothing"):
                raise DatasetError(f"{self._where} has no list {section!r}")
        places: Dict[str, array] = {}
        for image_id, name in self._images.items():
            own = self._places.get(image_id, array("q"))
            places[name] = _merged(places[name], own) if name in places else own
        return CocoFile(path=self._path, category_names=self._categories, places=places)

    def _image(self, element: Element) -> None:
        self._named(element, "image", "file_name", self._images)

    def _category(self, element: Element) -> None:
        self._named(element, "category", "name", self._categories)

    def _named(self, element: Element, what: str, key: str, known: Dict[Id, str]) -> None:
        number, name = _id(element.value.get("id")), element.value.get(key)
        if isinstance(name, (int, float)) and not isinstance(name, bool) and key == "name":
            name = str(name)
        for missing, wrong in (("id", number is None), (key, not isinstance(name, str) or not name.strip())):
            if wrong:
                value = element.value
                self._report(
                    DatasetError(
                        f"{self._where}: an image or category has no {missing!r}: the {what} {shown(value)}"
                        if missing not in value
                        else f"{self._where}: the {missing} of the {what} {shown(value)} is {shown(value[missing])}"
                    )
                )
                return
        # Spaces may belong to the name of a file, but not to that of a class.
        name = os.path.basename(name) if what == "image" else name.strip()
        if known.setdefault(number, name) != name:
            self._report(
                DatasetError(f"{self._where}: the {what} id {number!r} is given to both {known[number]!r} and {name!r}")
            )

    def _annotation(self, element: Element) -> None:
        image, category = _id(element.value.get("image_id")), _id(element.value.get("category_id"))
        if image is None or category is None:
            self._report(
                DatasetError(f"{self._where}: an annotation has no image_id or category_id: {shown(element.value)}")
            )
            return
        self._places.setdefault(image, array("q")).extend((element.start, element.end))


def _id(value: Any) -> Optional[Id]:
    """An id as it is compared: a number and its text are the same; None for what is no id."""
    if isinstance(value, str):
        return (
            int(value)
            if value.isascii() and value.isdigit() and len(value) < 19 and str(int(value)) == value
            else value
        )
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if type(value) is int else None


def _merged(places: array, others: array) -> array:
    """The annotations of two entries of one image, in the order of the file."""
    pairs = np.concatenate([np.asarray(places, np.int64), np.asarray(others, np.int64)]).reshape(-1, 2)
    return array("q", pairs[np.argsort(pairs[:, 0])].reshape(-1).tolist())


def _raise(error: DatasetError) -> None:
    raise error
