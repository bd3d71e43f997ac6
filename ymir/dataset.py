"""From the platform's annotations to label masks and the index files that mmseg reads.

A label mask holds 0 where nothing was annotated and i + 1 where class i was. So both readings of the blank area need
no second pass: as background
the masks are read as they are, ignored they are read with `reduce_zero_label`, which turns 0 into 255 and i + 1 into i.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from mmseg.errors import ImageError
from ymir.atomic import replacing
from ymir.coco import UNCOVERED, CocoFile, draw_label_mask, read_coco
from ymir.errors import DatasetError
from ymir.image_header import image_shape
from ymir.index import IndexItem, read_annotated_index
from ymir.label_image import LabelColors, label_mask_of_picture, read_label_colors
from ymir.task import BACKGROUND_CLASS, Task

# An annotation with one of these suffixes is a label mask of its own image; anything else is a COCO json.
PICTURE_SUFFIXES = (".png", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True)
class TrainingData:
    """What training needs to know about the converted data set."""

    train_index: Path
    val_index: Path
    classes: Tuple[str, ...]
    with_blank_area: bool


def convert_annotations(task: Task, on_progress: Callable[[float], None]) -> TrainingData:
    """Write label masks and index files for training and validation under the output folder, and decide about the
    blank area.

    Raises:
        DatasetError, ImageError: an index, an annotation or an image is not as the contract says.
    """
    paths, root = task.env.input, task.env.output.root_dir
    splits = {
        "train": read_annotated_index(paths.training_index_file),
        "val": read_annotated_index(paths.val_index_file),
    }
    converter = _Converter(task)
    total = sum(len(items) for items in splits.values())
    indexes, blank, done = {}, {}, 0
    for split, items in splits.items():
        masks = root / "label_masks" / split
        masks.mkdir(parents=True, exist_ok=True)
        converter.check_overlap(items)
        lines, blank[split] = [], False
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for item, (mask, has_blank) in zip(items, pool.map(lambda item: converter.convert(item, masks), items)):  # noqa: B023
                lines.append(f"{item.image}\t{mask}\n")
                blank[split] |= has_blank
                done += 1
                on_progress(done / total)
        indexes[split] = root / f"{split}-index.tsv"
        with replacing(indexes[split]) as stream:
            stream.writelines(lines)
    with_blank_area = blank["train"] and not task.training.ignore_black_area
    return TrainingData(
        train_index=indexes["train"],
        val_index=indexes["val"],
        classes=((BACKGROUND_CLASS,) if with_blank_area else ()) + task.class_names,
        with_blank_area=with_blank_area,
    )


class _Converter:
    """Turns index lines into mask files; every annotation file is read once."""

    def __init__(self, task: Task) -> None:
        self._class_names = task.class_names
        self._annotations_dir = task.env.input.annotations_dir
        self._coco: Dict[str, CocoFile] = {}
        self._colors: Dict[Path, LabelColors] = {}

    def check_overlap(self, items: Sequence[IndexItem]) -> None:
        """Read the annotation files of `items`; refuse those that know none of the images or none of the classes."""
        by_file: Dict[str, List[str]] = {}
        for item in items:
            if Path(item.annotation).suffix.lower() in PICTURE_SUFFIXES:
                folder = Path(item.annotation).parent
                if folder not in self._colors:
                    self._colors[folder] = read_label_colors(folder, self._annotations_dir, self._class_names)
            else:
                by_file.setdefault(item.annotation, []).append(os.path.basename(item.image))
        for annotation, names in by_file.items():
            if annotation not in self._coco:
                self._coco[annotation] = read_coco(Path(annotation))
            coco = self._coco[annotation]
            if not any(name in coco.annotations for name in names):
                raise DatasetError(
                    f"the annotation file {annotation} knows none of the {len(names)} images that the index pairs "
                    f"with it"
                )
            if not set(coco.category_names.values()) & set(self._class_names):
                raise DatasetError(
                    f"the annotation file {annotation} has the categories {sorted(coco.category_names.values())}, "
                    f"none of which is among class_names {list(self._class_names)}"
                )

    def convert(self, item: IndexItem, folder: Path) -> Tuple[Path, bool]:
        """Write the label mask of one line; returns its path and whether some pixel of it is uncovered."""
        shape = image_shape(Path(item.image))
        if item.annotation in self._coco:
            mask = draw_label_mask(self._coco[item.annotation], os.path.basename(item.image), shape, self._class_names)
        else:
            mask = label_mask_of_picture(Path(item.annotation), shape, self._colors[Path(item.annotation).parent])
            if mask.max() > len(self._class_names):
                raise DatasetError(
                    f"the label mask {item.annotation} holds class {mask.max() - 1}, but there are "
                    f"{len(self._class_names)} classes"
                )
        # The whole base name stays in, because a.jpg and a.png may both be there.
        path = folder / (os.path.basename(item.image) + ".png")
        _write_mask(path, mask)
        return path, bool((mask == UNCOVERED).any())


def _write_mask(path: Path, mask: np.ndarray) -> None:
    encoded, data = cv2.imencode(".png", mask)
    if not encoded:
        raise ImageError(f"the label mask {path} cannot be encoded")
    path.write_bytes(data.tobytes())
