"""Infer: class maps to COCO annotations."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Mapping, Sequence, Tuple

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as rle

from mmseg.datasets.palette import generate_palette
from ymir.atomic import replacing
from ymir.monitor import Share
from ymir.package import class_indices
from ymir.picture_names import PictureNames
from ymir.prediction.candidates import AUGMENTED, PLAIN
from ymir.prediction.job import Assembly, Job, NetworkPass, Payload, Prediction
from ymir.prediction.ordered_work import ordered_map
from ymir.results import write_infer_result
from ymir.rle import encode_class_map
from ymir.task import Task

NO_CLASS = 255

_PICTURE_THREADS = 2


class InferJob(Job):
    """Writes infer-result.json, and a palette picture of each class map where `save_masks` says so."""

    kind = 10

    def __init__(self, task: Task) -> None:
        self._class_names = task.class_names
        self._output = task.env.output
        self._save_masks = task.infer.save_masks
        self._categories: Dict[int, int] = {}
        self.network_pass = NetworkPass(pipeline=AUGMENTED if task.infer.aug_test else PLAIN)

    def start(self, model_classes: Sequence[str], with_blank_area: bool) -> None:
        pairs = class_indices(model_classes, self._class_names, with_blank_area)
        # Category ids count from 1 in the order of class_names, as write_infer_result lists them.
        self._categories = {index: position + 1 for index, position in pairs}

    def records(self, prediction: Prediction) -> Iterable[Tuple[int, Payload]]:
        # At most 254 classes and background, so a byte holds a class; narrower before it leaves a GPU.
        class_map = prediction.logits.class_map().to(torch.uint8).cpu().numpy()
        yield self.kind, partial(_encoded, class_map, self._categories)

    def assemble(self, assembly: Assembly, progress: Share) -> None:
        write_infer_result(self._output.infer_result_file, self._class_names, self._found(assembly, progress))

    def _found(self, assembly: Assembly, progress: Share) -> Iterator[Tuple[str, Mapping[str, Any]]]:
        names = PictureNames(assembly.images) if self._save_masks else None

        def found(position: int) -> Mapping[str, Any]:
            bad = assembly.bad_image(position)
            if bad is not None:
                return {"height": bad.height, "width": bad.width, "annotations": []}
            item = json.loads(assembly.journal.read(position, self.kind).decode("utf-8"))
            if names is not None:
                self._write_picture(self._output.root_dir / "predictions" / f"{names[position]}.png", item)
            return item

        positions = range(len(assembly.images))
        items = map(found, positions)
        if names is not None:
            items = ordered_map(found, positions, threads=_PICTURE_THREADS, ahead=2 * _PICTURE_THREADS)
        for position, item in zip(positions, items):
            yield assembly.images[position], item
            progress.progress((position + 1) / len(assembly.images))

    def _write_picture(self, path: Path, found: Mapping[str, Any]) -> None:
        """A palette PNG: the index in class_names of each pixel's class, 255 where it has none of them."""
        class_map = np.full((found["height"], found["width"]), NO_CLASS, np.uint8)
        for annotation in found["annotations"]:
            class_map[rle.decode(annotation["segmentation"]).astype(bool)] = annotation["category_id"] - 1
        picture = Image.fromarray(class_map)
        picture.putpalette([value for color in generate_palette(len(self._class_names)) for value in color])
        with replacing(path, "wb", durable=False) as stream:
            picture.save(stream, format="PNG")


def _encoded(class_map: np.ndarray, categories: Mapping[int, int]) -> bytes:
    height, width = class_map.shape
    found = {"height": height, "width": width, "annotations": encode_class_map(class_map, categories)}
    return json.dumps(found).encode("utf-8")
