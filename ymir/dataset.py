"""From the platform's annotations to label masks and the index files that mmseg reads.

A label mask holds 0 where nothing was annotated and i + 1 where class i was. So both readings of the blank area need
no second pass: as background
the masks are read as they are, ignored they are read with `reduce_zero_label`, which turns 0 into 255 and i + 1 into i.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Sequence, Tuple

import cv2
import numpy as np

from mmseg.errors import ImageError
from ymir.annotations.coco import UNCOVERED, draw_label_mask
from ymir.annotations.files import AnnotationFiles, is_picture
from ymir.annotations.label_image import label_mask_of_picture
from ymir.atomic import replacing
from ymir.errors import DatasetError
from ymir.images.header import image_shape
from ymir.index import IndexItem, read_annotated_index
from ymir.task import BACKGROUND_CLASS, Task


@dataclass(frozen=True)
class TrainingData:
    """What training needs to know about the converted data set."""

    train_index: Path
    val_index: Path
    classes: Tuple[str, ...]
    with_blank_area: bool


def convert_annotations(
    task: Task, on_progress: Callable[[float], None], files: Optional[AnnotationFiles] = None
) -> TrainingData:
    """Write label masks and index files for training and validation under the output folder, and decide about the
    blank area.

    Args:
        files: the annotation files, where they have been read already (`preflight_training` reads them).

    Raises:
        DatasetError, ImageError: an index, an annotation or an image is not as the contract says.
    """
    paths, root = task.env.input, task.env.output.root_dir
    splits = {
        "train": read_annotated_index(paths.training_index_file),
        "val": read_annotated_index(paths.val_index_file),
    }
    converter = _Converter(task, AnnotationFiles.of(task) if files is None else files)
    total = sum(len(items) for items in splits.values())
    indexes, blank, done = {}, {}, 0
    for split, items in splits.items():
        masks = root / "label_masks" / split
        masks.mkdir(parents=True, exist_ok=True)
        converter.read(items)
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
    """Turns index lines into mask files."""

    def __init__(self, task: Task, files: AnnotationFiles) -> None:
        self._class_names = task.class_names
        self._max_pixels = task.training.max_image_pixels
        self._files = files

    def read(self, items: Sequence[IndexItem]) -> None:
        """Read the annotation files of `items`; the first thing that is wrong with them is raised."""
        for error in self._files.read(items):
            raise error

    def convert(self, item: IndexItem, folder: Path) -> Tuple[Path, bool]:
        """Write the label mask of one line; returns its path and whether some pixel of it is uncovered."""
        shape = image_shape(Path(item.image), max_pixels=self._max_pixels)
        if is_picture(item.annotation):
            mask = label_mask_of_picture(Path(item.annotation), shape, self._files.colors(item.annotation))
            if mask.max() > len(self._class_names):
                raise DatasetError(
                    f"the label mask {item.annotation} holds class {mask.max() - 1}, but there are "
                    f"{len(self._class_names)} classes"
                )
        else:
            mask = draw_label_mask(
                self._files.coco(item.annotation), os.path.basename(item.image), shape, self._class_names
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
