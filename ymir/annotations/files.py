"""The annotation files of a data set, each read once: COCO files, and the colours of label pictures."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Set

from ymir.annotations.coco import CocoFile, read_coco, segmentations_of
from ymir.annotations.label_image import LabelColors, check_label_picture, read_label_colors
from ymir.annotations.segmentation import check_segmentation
from ymir.errors import DatasetError
from ymir.images.headers import Shape
from ymir.index import IndexItem
from ymir.task import Task

PICTURE_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff")


class AnnotationFiles:
    """What the annotation files say, for those who check them and for those who draw label masks from them.

    Args:
        class_names: of the task.
        annotations_dir: where a labelmap.txt may lie, besides the folder of the label pictures.
    """

    def __init__(self, class_names: Sequence[str], annotations_dir: Path) -> None:
        self._class_names = tuple(class_names)
        self._annotations_dir = annotations_dir
        self._coco: Dict[str, CocoFile] = {}
        self._colors: Dict[Path, LabelColors] = {}
        self._unreadable: Set[str] = set()

    @classmethod
    def of(cls, task: Task) -> "AnnotationFiles":
        """Those of a training."""
        return cls(task.class_names, task.env.input.annotations_dir)

    def read(self, items: Iterable[IndexItem]) -> Iterator[DatasetError]:
        """Read the annotation files of `items`, those that were not read before; gives what is wrong with them, also
        where a file knows none of the images or none of the classes."""
        by_file: Dict[str, List[str]] = {}
        folders: Dict[Path, None] = {}
        for item in items:
            if is_picture(item.annotation):
                folders[Path(item.annotation).parent] = None
            else:
                by_file.setdefault(item.annotation, []).append(os.path.basename(item.image))
        for folder in folders:
            yield from self._read_colors(folder)
        for annotation, names in by_file.items():
            yield from self._read_coco(annotation)
            if annotation in self._coco and not any(name in self._coco[annotation] for name in names):
                yield DatasetError(
                    f"the annotation file {annotation} knows none of the {len(names)} images that the index pairs "
                    f"with it"
                )

    def coco(self, annotation: str) -> CocoFile:
        """A COCO file that was read."""
        return self._coco[annotation]

    def colors(self, annotation: str) -> LabelColors:
        """The colours in a label picture whose folder was read."""
        return self._colors[Path(annotation).parent]

    def check(self, item: IndexItem, shape: Shape) -> Iterator[DatasetError]:
        """What is wrong with the annotation of one image of `shape` (height, width), as far as it shows without drawing
        it; nothing where its file could not be read."""
        if is_picture(item.annotation):
            folder = Path(item.annotation).parent
            if folder in self._colors:
                yield from _fault(check_label_picture, Path(item.annotation), shape, self._colors[folder])
        elif item.annotation in self._coco:
            found = segmentations_of(self._coco[item.annotation], os.path.basename(item.image), self._class_names)
            for where, _, segmentation in found:
                yield from _fault(check_segmentation, segmentation, shape, where)

    def _read_colors(self, folder: Path) -> Iterator[DatasetError]:
        if folder in self._colors or str(folder) in self._unreadable:
            return
        try:
            self._colors[folder] = read_label_colors(folder, self._annotations_dir, self._class_names)
        except DatasetError as error:
            self._unreadable.add(str(folder))
            yield error

    def _read_coco(self, annotation: str) -> Iterator[DatasetError]:
        if annotation in self._coco or annotation in self._unreadable:
            return
        faults: List[DatasetError] = []
        try:
            coco = read_coco(Path(annotation), faults.append)
        except DatasetError as error:
            self._unreadable.add(annotation)
            yield error
            return
        self._coco[annotation] = coco
        yield from faults
        if not set(coco.category_names.values()) & set(self._class_names):
            yield DatasetError(
                f"the annotation file {annotation} has the categories {sorted(coco.category_names.values())}, "
                f"none of which is among class_names {list(self._class_names)}"
            )


def is_picture(annotation: str) -> bool:
    """Whether an annotation is a label mask of its own image; anything else is a COCO json."""
    return Path(annotation).suffix.lower() in PICTURE_SUFFIXES


def _fault(check: Callable[..., None], *arguments: Any) -> Iterator[DatasetError]:
    try:
        check(*arguments)
    except DatasetError as error:
        yield error
