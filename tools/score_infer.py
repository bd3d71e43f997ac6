"""Compare infer's result with label masks: IoU of each class, and mIoU.

`python tools/score_infer.py --task DIR/predict/env.yaml --labels DIR` reads PNG masks of class indices under the
images' stems, 255 where unlabelled.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np
import yaml
from pycocotools import mask as coco_mask

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets import read_mask
from mmseg.engine.metrics import ConfusionMatrix, Metrics


def score(result_file: Path, labels: Path, class_names: List[str]) -> Metrics:
    """The metrics of an infer-result.json. Pixels with no annotation count as wrong, as a class that no label has."""
    result = json.loads(result_file.read_text(encoding="utf-8"))
    index = {category["id"]: class_names.index(category["name"]) for category in result["categories"]}
    no_class = len(class_names)
    class_maps = {
        image["id"]: np.full((image["height"], image["width"]), no_class, np.uint8) for image in result["images"]
    }
    for annotation in result["annotations"]:
        drawn = coco_mask.decode(annotation["segmentation"]).astype(bool)
        class_maps[annotation["image_id"]][drawn] = index[annotation["category_id"]]
    matrix = ConfusionMatrix(no_class + 1)
    for image in result["images"]:
        matrix.update(class_maps[image["id"]], read_mask(str(labels / (Path(image["file_name"]).stem + ".png"))))
    return matrix.metrics()


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Compare infer's result with label masks.")
    parser.add_argument("--task", required=True, type=Path, metavar="ENV_YAML", help="env.yaml of a finished infer")
    parser.add_argument("--labels", required=True, type=Path, metavar="DIR", help="label masks")
    options = parser.parse_args(arguments)
    env = yaml.safe_load(options.task.read_text(encoding="utf-8"))
    class_names = yaml.safe_load(Path(env["input"]["config_file"]).read_text(encoding="utf-8"))["class_names"]
    metrics = score(Path(env["output"]["infer_result_file"]), options.labels, class_names)
    for name, iou in zip(class_names, metrics.IoU):
        print(f"{name:20} {iou:.4f}")
    # Over the classes alone; one in neither labels nor predictions has no IoU.
    print(f"{'mIoU':20} {np.nanmean(metrics.IoU[: len(class_names)]):.4f}")


if __name__ == "__main__":
    main()
