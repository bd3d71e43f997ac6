"""Write a folder with synthetic street scenes as YMIR tasks: a training, and mining and infer together.

`python tools/demo_data.py --out DIR` makes
  DIR/in/                 assets, annotations and index files of both tasks
  DIR/in/candidate-labels the labels of the candidates, which no task reads
  DIR/training/           env.yaml and config.yaml; its outputs go to DIR/training/out
  DIR/predict/            the same for mining and infer; `tools/demo_task.py` fills in the model
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.demo_coco import annotate
from tools.demo_task import PathLike, write_predict_task, write_training_task
from tools.street_scenes import CLASSES, Scene, generate_scene

TRAINING_DEFAULTS: Dict[str, Any] = {
    "config_file": "configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py",
    "samples_per_gpu": 8,
    "workers_per_gpu": 2,
    "max_iters": 300,
    "interval": 100,
    "cfg_options": "optimizer.lr=0.06",  # the config file's rate is for batches of 32
    "ignore_black_area": True,
}
"""Hyper-parameters of the demo's training, beside image_size and crop_size, which are the size of the scenes."""

PREDICT_DEFAULTS: Dict[str, Any] = {
    "mining_algorithm": "RSAL",
    "superpixel_algorithm": "slico",
    "uncertainty_method": "BvSB",
    "max_superpixel_per_image": 256,
    "max_kept_mining_image": 12,
    "topk_superpixel_score": 8,
    "class_balance": True,
    "samples_per_gpu": 4,
    "workers_per_gpu": 2,
}
"""Hyper-parameters of the demo's mining and infer."""

_CATEGORY_IDS = (41, 7, 3, 90, 12, 28, 5, 63)  # any numbers: a task's ids follow no order
_OTHER_ID = 17
_SPLITS = ("train", "val", "candidate", "unused")


def write_data(
    root: PathLike,
    *,
    train: int = 48,
    val: int = 12,
    candidates: int = 24,
    seed: int = 0,
    size: Tuple[int, int] = (192, 144),
) -> None:
    """Write DIR/in: `train`, `val` and `candidates` scenes of size (width, height), the COCO file and the index files.

    The first scene of each split shows every class. What is written depends on the arguments alone, but for the paths.
    """
    data = Path(os.path.abspath(root)) / "in"
    for folder in ("assets", "annotations", "candidate-labels"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    coco: Dict[str, List[Dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": _OTHER_ID, "name": "other", "supercategory": ""}]
        + [{"id": number, "name": name, "supercategory": ""} for number, name in sorted(zip(_CATEGORY_IDS, CLASSES))],
    }
    annotations_file = data / "annotations" / "coco.json"
    for split, count in zip(_SPLITS, (train, val, candidates, 1)):
        lines = []
        for number in range(count):
            scene = _scene(seed, split, number, size)
            asset = data / "assets" / f"{split}-{number:03d}.jpg"
            _write_image(asset, scene.image)
            if split == "candidate":
                _write_image(data / "candidate-labels" / f"{asset.stem}.png", scene.label)
                lines.append(str(asset))
            else:
                _add(coco, asset, scene)
                lines.append(f"{asset}\t{annotations_file}")
        if split != "unused":
            (data / f"{split}-index.tsv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    annotations_file.write_text(json.dumps(coco), encoding="utf-8")


def _scene(seed: int, split: str, number: int, size: Tuple[int, int]) -> Scene:
    rng = np.random.default_rng([seed, _SPLITS.index(split), number])
    return generate_scene(rng, *size, complete=number == 0)


def _add(coco: Dict[str, List[Dict[str, Any]]], asset: Path, scene: Scene) -> None:
    image_id = 100 + 3 * len(coco["images"])
    height, width = scene.label.shape
    # Some platforms write the whole path here, some the base name.
    file_name = str(asset) if len(coco["images"]) % 3 == 2 else asset.name
    coco["images"].append({"id": image_id, "file_name": file_name, "width": width, "height": height})
    coco["annotations"] += annotate(
        scene.label,
        image_id=image_id,
        first_id=len(coco["annotations"]) + 1,
        category_ids=dict(enumerate(_CATEGORY_IDS)),
        other_id=_OTHER_ID if image_id % 2 else None,
    )


def _write_image(path: Path, image: np.ndarray) -> None:
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), image, settings):
        raise OSError(f"{path}: the image could not be written")


def _size(text: str) -> Tuple[int, int]:
    if not re.fullmatch(r"\d+x\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size like 192x144, width x height")
    width, height = text.split("x")
    return int(width), int(height)


def hyper_parameter(text: str) -> Tuple[str, Any]:
    """KEY=VALUE of a command line, the value read as YAML."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, yaml.safe_load(value)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Write synthetic street scenes as YMIR tasks.")
    parser.add_argument("--out", required=True, metavar="DIR", help="the demo folder")
    parser.add_argument("--train", type=int, default=48, help="images to train on (48)")
    parser.add_argument("--val", type=int, default=12, help="images to validate on (12)")
    parser.add_argument("--candidates", type=int, default=24, help="images to mine and infer (24)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=_size, default=(192, 144), help="width x height in pixels (192x144)")
    parser.add_argument("--gpu-id", default="", help="as in config.yaml; empty: the CPU")
    for task in ("training", "predict"):
        text = f"a hyper-parameter of the {task} task; may be given more than once"
        parser.add_argument(f"--{task}", type=hyper_parameter, action="append", default=[], metavar="K=V", help=text)
    options = parser.parse_args(arguments)
    write_data(
        options.out,
        train=options.train,
        val=options.val,
        candidates=options.candidates,
        seed=options.seed,
        size=options.size,
    )
    shared = {"class_names": CLASSES, "gpu_id": options.gpu_id}
    size = "{}x{}".format(*options.size)
    sizes = {"image_size": size, "crop_size": size}
    training = write_training_task(options.out, **{**TRAINING_DEFAULTS, **sizes, **dict(options.training), **shared})
    predict = write_predict_task(options.out, **{**PREDICT_DEFAULTS, **dict(options.predict), **shared})
    print(training, predict, sep="\n")


if __name__ == "__main__":
    main()
