"""Infer: class maps to COCO annotations."""

import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Mapping, Sequence, Tuple

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as rle

from mmseg.datasets.palette import generate_palette
from ymir.atomic import replacing
from ymir.coco import encode_class_map
from ymir.job import Job, Prediction, picture_names
from ymir.journal import Journal
from ymir.monitor import Share
from ymir.package import class_indices
from ymir.results import write_infer_result
from ymir.task import Task

NO_CLASS = 255


class InferJob(Job):
    """Writes infer-result.json, and a palette picture of each class map where `save_masks` says so."""

    kind = 10

    def __init__(self, task: Task) -> None:
        self._class_names = task.class_names
        self._output = task.env.output
        self._save_masks = task.infer.save_masks
        self._categories: Dict[int, int] = {}

    def start(self, model_classes: Sequence[str], with_blank_area: bool) -> None:
        pairs = class_indices(model_classes, self._class_names, with_blank_area)
        # Category ids count from 1 in the order of class_names, as write_infer_result lists them.
        self._categories = {index: position + 1 for index, position in pairs}

    def records(self, prediction: Prediction) -> Iterable[Tuple[int, bytes]]:
        # At most 254 classes and background, so a byte holds a class; narrower before it leaves a GPU.
        class_map = prediction.class_map.to(torch.uint8).cpu().numpy()
        height, width = class_map.shape
        found = {"height": height, "width": width, "annotations": encode_class_map(class_map, self._categories)}
        yield self.kind, json.dumps(found).encode("utf-8")

    def assemble(self, journal: Journal, images: Sequence[str], progress: Share) -> None:
        names = picture_names(images)

        def found() -> Iterator[Tuple[str, Mapping[str, Any]]]:
            for position, image in enumerate(images):
                item = json.loads(journal.read(position, self.kind))
                if self._save_masks:
                    self._write_picture(self._output.root_dir / "predictions" / names[position], item)
                yield image, item
                progress.progress((position + 1) / len(images))

        write_infer_result(self._output.infer_result_file, self._class_names, found())

    def _write_picture(self, path: Path, found: Mapping[str, Any]) -> None:
        """A palette PNG: the index in class_names of each pixel's class, 255 where it has none of them."""
        class_map = np.full((found["height"], found["width"]), NO_CLASS, np.uint8)
        for annotation in found["annotations"]:
            class_map[rle.decode(annotation["segmentation"]).astype(bool)] = annotation["category_id"] - 1
        picture = Image.fromarray(class_map)
        picture.putpalette([value for color in generate_palette(len(self._class_names)) for value in color])
        with replacing(path, "wb", durable=False) as stream:
            picture.save(stream, format="PNG")
