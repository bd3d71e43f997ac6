"""Write a folder of images and index label masks as YMIR tasks: a training, and mining and infer together.

Each split is a folder with `images/` and, but for candidates, `labels/`: PNG masks of class indices under the
images' stems, 255 where unlabelled.

`python tools/folders_task.py --train DIR/train --val DIR/val --candidates DIR/val --class-names sky road … --out OUT
--training max_iters=300`
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.demo_coco import compressed_rle
from tools.demo_data import hyper_parameter
from tools.demo_task import write_predict_task, write_training_task


def write_splits(out: Path, *, train: Path, val: Path, candidates: Path, class_names: Sequence[str]) -> None:
    """Write OUT/in: the index files, and one COCO json of both annotated splits; the images stay where they are."""
    data = out.resolve() / "in"
    annotations_file = data / "annotations" / "coco.json"
    annotations_file.parent.mkdir(parents=True, exist_ok=True)
    coco: Dict[str, List[Dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(class_names, 1)],
    }
    for split, folder in (("train", train), ("val", val)):
        lines = []
        for image in images_of(folder):
            label = cv2.imread(str(folder / "labels" / f"{image.stem}.png"), cv2.IMREAD_UNCHANGED)
            if label is None:
                raise SystemExit(f"{image} has no label mask in {folder / 'labels'}")
            _add(coco, image, label, len(class_names))
            lines.append(f"{image}\t{annotations_file}\n")
        (data / f"{split}-index.tsv").write_text("".join(lines), encoding="utf-8")
    lines = [f"{image}\n" for image in images_of(candidates)]
    (data / "candidate-index.tsv").write_text("".join(lines), encoding="utf-8")
    annotations_file.write_text(json.dumps(coco), encoding="utf-8")


def images_of(folder: Path) -> List[Path]:
    """The images of a split, by name."""
    return sorted(path.resolve() for path in (folder / "images").iterdir() if path.is_file())


def _add(coco: Dict[str, List[Dict[str, Any]]], image: Path, label: np.ndarray, num_classes: int) -> None:
    image_id = len(coco["images"]) + 1
    height, width = label.shape
    coco["images"].append({"id": image_id, "file_name": image.name, "width": width, "height": height})
    for index in np.unique(label[label < num_classes]):
        annotation = {
            "id": len(coco["annotations"]) + 1,
            "image_id": image_id,
            "category_id": int(index) + 1,
            "iscrowd": 0,
            "segmentation": compressed_rle(label == index),
        }
        coco["annotations"].append(annotation)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Write a folder of images and index label masks as YMIR tasks.")
    for split in ("train", "val", "candidates"):
        text = "folder with images/ and labels/"
        parser.add_argument(f"--{split}", required=True, type=Path, metavar="DIR", help=text)
    parser.add_argument("--class-names", required=True, nargs="+", metavar="NAME", help="name of class 0, 1, …")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the tasks are written")
    parser.add_argument("--gpu-id", default="", help="as in config.yaml; empty: the CPU")
    for task in ("training", "predict"):
        text = f"hyper-parameters of the {task} task"
        parser.add_argument(f"--{task}", type=hyper_parameter, nargs="*", default=[], metavar="K=V", help=text)
    options = parser.parse_args(arguments)
    write_splits(
        options.out,
        train=options.train,
        val=options.val,
        candidates=options.candidates,
        class_names=options.class_names,
    )
    shared = {"class_names": options.class_names, "gpu_id": options.gpu_id}
    print(write_training_task(options.out, **{**dict(options.training), **shared}))
    print(write_predict_task(options.out, **{**dict(options.predict), **shared}))


if __name__ == "__main__":
    main()
