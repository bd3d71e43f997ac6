"""Draw what mining and infer found in some candidates: image, label, prediction, and the regions to label.

`python tools/picture_sheet.py --task-root DIR` reads the task DIR/predict of a demo folder and writes picture-sheet.png
into its output folder.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pycocotools import mask as coco_mask

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.datasets.palette import generate_palette
from tools.demo_task import PathLike

UNLABELLED = 255
_UNLABELLED_COLOUR = (232, 232, 232)
_REGION_COLOUR = (255, 210, 0)
_INK, _FAINT_INK = "#1b1f24", "#6a737d"
_PANEL_WIDTH, _NAME_WIDTH, _GAP = 2.9, 1.75, 0.12  # inches
_HEADER, _ROW_GAP, _LEGEND_ROW = 0.86, 0.12, 0.28
_DPI = 130


@dataclass(frozen=True)
class Row:
    """One candidate. image: (H, W, 3) RGB. label and prediction: (H, W), indices into the class names, or UNLABELLED.

    regions: (H, W) bool, true where mining wants labels. What is not known is None.
    """

    name: str
    rank: Optional[int]
    score: Optional[float]
    image: np.ndarray
    label: Optional[np.ndarray]
    prediction: Optional[np.ndarray]
    regions: Optional[np.ndarray]


def read_rows(env_path: PathLike, labels_dir: PathLike, count: int) -> Tuple[List[Row], List[str]]:
    """`count` candidates of a finished predict task, spread over the ranks of mining, and the class names.

    Without mining they are spread over the index. Labels are looked for in `labels_dir` as STEM.png.
    """
    env = _read_yaml(env_path)
    config = _read_yaml(env["input"]["config_file"])
    class_names = [str(name) for name in config["class_names"]]
    output = env["output"]
    scores: Dict[str, Optional[float]] = {}
    if env.get("run_mining"):
        for line in _read_lines(output["mining_result_file"]):
            image, score = line.split("\t")
            scores[image] = float(score)
    else:
        scores = dict.fromkeys(_read_lines(env["input"]["candidate_index_file"]))
    predictions = _Predictions(output["infer_result_file"], class_names) if env.get("run_infer") else None
    candidates = list(scores)
    picked = np.unique(np.linspace(0, len(candidates) - 1, min(count, len(candidates))).round().astype(int))
    rows = []
    for position in picked.tolist():
        path = Path(candidates[position])
        rows.append(
            Row(
                name=path.name,
                rank=position + 1 if env.get("run_mining") else None,
                score=scores[candidates[position]],
                image=cv2.cvtColor(_read_image(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB),
                label=_read_grey(Path(labels_dir) / f"{path.stem}.png"),
                prediction=predictions.of(path.name) if predictions else None,
                regions=_read_regions(Path(output["root_dir"]) / "masks", path) if env.get("run_mining") else None,
            )
        )
    return rows, class_names


class _Predictions:
    """infer-result.json, read back image by image."""

    def __init__(self, path: PathLike, class_names: Sequence[str]) -> None:
        with open(path, encoding="utf-8") as stream:
            result = json.load(stream)
        index_of = {name: index for index, name in enumerate(class_names)}
        self._class_of = {
            item["id"]: index_of[item["name"]] for item in result["categories"] if item["name"] in index_of
        }
        self._images = {item["file_name"]: item for item in result["images"]}
        self._annotations: Dict[int, List[Dict[str, Any]]] = {}
        for annotation in result["annotations"]:
            self._annotations.setdefault(annotation["image_id"], []).append(annotation)

    def of(self, file_name: str) -> np.ndarray:
        """The class map (H, W) of an image, UNLABELLED where nothing was found."""
        image = self._images[file_name]
        class_map = np.full((image["height"], image["width"]), UNLABELLED, np.uint8)
        for annotation in self._annotations.get(image["id"], []):
            found = coco_mask.decode(annotation["segmentation"]) > 0
            class_map[found] = self._class_of[annotation["category_id"]]
        return class_map


def mean_iou(labels: Sequence[np.ndarray], predictions: Sequence[np.ndarray], num_classes: int) -> float:
    """Mean intersection over union of the classes that occur, over all labelled pixels of all the images."""
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    for label, prediction in zip(labels, predictions):
        known = label < num_classes
        found = np.minimum(prediction[known].astype(np.int64), num_classes)
        np.add.at(matrix, (label[known], found), 1)
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=1) + matrix[:, :num_classes].sum(axis=0) - hit
    return float(np.mean(hit[union > 0] / union[union > 0])) if (union > 0).any() else float("nan")


def draw_sheet(rows: Sequence[Row], class_names: Sequence[str], path: PathLike, title: str) -> None:
    """Draw the rows, one below the other, as a PNG. Columns nobody has anything for are left out."""
    palette = np.full((256, 3), _UNLABELLED_COLOUR, np.uint8)
    palette[: len(class_names)] = generate_palette(len(class_names))

    def coloured(class_map: Optional[np.ndarray]) -> Optional[np.ndarray]:
        return None if class_map is None else palette[class_map]

    columns = [("Image", lambda row: row.image, "")]
    if any(row.label is not None for row in rows):
        columns.append(("Label", lambda row: coloured(row.label), "unknown"))
    if any(row.prediction is not None for row in rows):
        columns.append(("Prediction", lambda row: coloured(row.prediction), "none"))
    if any(row.regions is not None for row in rows):
        columns.append(("Regions to label", _regions_picture, "not among the\nimages to label"))

    legend_names = [*class_names, "unlabelled"]
    width = _NAME_WIDTH + len(columns) * (_PANEL_WIDTH + _GAP) + _GAP
    per_line = max(int(width / 1.5), 1)
    legend_height = _LEGEND_ROW * -(-len(legend_names) // per_line) + 0.24
    heights = [_PANEL_WIDTH * row.image.shape[0] / row.image.shape[1] for row in rows]
    height = _HEADER + sum(heights) + _ROW_GAP * len(rows) + legend_height
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / width, 1 - y / height, text, **{"color": _INK, "va": "top", **style})

    write(0.16, 0.14, title, fontsize=14, fontweight="bold")
    for column, (heading, _, _) in enumerate(columns):
        left = _NAME_WIDTH + column * (_PANEL_WIDTH + _GAP)
        write(left, _HEADER - 0.1, heading, fontsize=11, fontweight="bold", va="bottom")
    top = _HEADER
    for row, row_height in zip(rows, heights):
        for place, (text, style) in enumerate(_captions(row, len(class_names))):
            write(0.16, top + 0.04 + 0.24 * place, text, **style)
        for column, (_, picture_of, missing) in enumerate(columns):
            left = _NAME_WIDTH + column * (_PANEL_WIDTH + _GAP)
            box = (left / width, 1 - (top + row_height) / height, _PANEL_WIDTH / width, row_height / height)
            _draw_panel(figure, box, picture_of(row), missing)
        top += row_height + _ROW_GAP
    patches = [Patch(facecolor=palette[i] / 255, edgecolor="#b0b4b8", label=name) for i, name in enumerate(class_names)]
    patches.append(Patch(facecolor=palette[UNLABELLED] / 255, edgecolor="#b0b4b8", label=legend_names[-1]))
    figure.legend(
        handles=patches,
        loc="lower center",
        ncol=min(per_line, len(patches)),
        frameon=False,
        fontsize=10,
        handlelength=1.3,
    )
    FigureCanvasAgg(figure).print_png(os.fspath(path))


def _captions(row: Row, num_classes: int) -> List[Tuple[str, Dict[str, Any]]]:
    faint = {"fontsize": 9.5, "color": _FAINT_INK}
    captions = [(_shortened(row.name, 19), {"fontsize": 10, "fontweight": "bold"})]
    if row.rank is not None:
        captions += [(f"rank {row.rank}", faint), (f"score {row.score:#.4g}", faint)]
    if row.regions is not None:
        captions.append((f"to label {100 * row.regions.mean():.1f} %", faint))
    if row.label is not None and row.prediction is not None:
        captions.append((f"mIoU {mean_iou([row.label], [row.prediction], num_classes):.3f}", faint))
    return captions


def _draw_panel(
    figure: Figure, box: Tuple[float, float, float, float], picture: Optional[np.ndarray], missing: str
) -> None:
    axes = figure.add_axes(box)
    axes.set_xticks([])
    axes.set_yticks([])
    for edge in axes.spines.values():
        edge.set_edgecolor("#c8ccd0")
    if picture is None:
        axes.set_facecolor("#f4f5f6")
        axes.text(0.5, 0.5, missing, ha="center", va="center", color=_FAINT_INK, fontsize=10, transform=axes.transAxes)
    else:
        axes.imshow(picture, interpolation="nearest" if picture.shape[1] < 500 else "antialiased", aspect="auto")


def _regions_picture(row: Row) -> Optional[np.ndarray]:
    """The image, grey and pale but for the chosen regions, which are outlined."""
    if row.regions is None:
        return None
    zoom = max(1, int(np.ceil(640 / row.image.shape[1])))  # so that the outline is thin
    image = np.repeat(np.repeat(row.image, zoom, axis=0), zoom, axis=1)
    regions = np.repeat(np.repeat(row.regions, zoom, axis=0), zoom, axis=1).astype(np.uint8)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    picture = np.where(regions[..., None] > 0, image, (0.45 * grey + 120).astype(np.uint8))
    contours = cv2.findContours(regions, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[-2]
    cv2.drawContours(picture, contours, -1, (0, 0, 0), 4)
    cv2.drawContours(picture, contours, -1, _REGION_COLOUR, 2)
    return picture


def _read_regions(folder: Path, image: Path) -> Optional[np.ndarray]:
    """The mask of an image; None when mining did not keep the image."""
    for name in (f"{image.stem}.png", f"{image.name}.png"):
        mask = _read_grey(folder / name)
        if mask is not None:
            return mask > 0
    return None


def _read_grey(path: Path) -> Optional[np.ndarray]:
    return _read_image(path, cv2.IMREAD_GRAYSCALE) if path.is_file() else None


def _read_image(path: Path, mode: int) -> np.ndarray:
    image = cv2.imread(str(path), mode)
    if image is None:
        raise OSError(f"{path}: not a readable image")
    return image


def _read_lines(path: PathLike) -> List[str]:
    with open(path, encoding="utf-8") as stream:
        return [line.rstrip("\r\n") for line in stream if line.strip()]


def _read_yaml(path: PathLike) -> Any:
    with open(path, encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 9]}…{name[-8:]}"


def main(arguments: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description="Draw what mining and infer found in some candidates.")
    parser.add_argument("--task-root", required=True, metavar="DIR", help="the demo folder")
    parser.add_argument("--task", default="predict", help="which of its tasks (predict)")
    parser.add_argument("--labels", metavar="DIR", help="label masks of the candidates (DIR/in/candidate-labels)")
    parser.add_argument("--rows", type=int, default=6, help="how many candidates (6)")
    parser.add_argument("--output", metavar="PNG", help="(picture-sheet.png in the task's output folder)")
    options = parser.parse_args(arguments)
    root = Path(options.task_root)
    env_path = root / options.task / "env.yaml"
    rows, class_names = read_rows(env_path, options.labels or root / "in" / "candidate-labels", options.rows)
    path = options.output or os.path.join(_read_yaml(env_path)["output"]["root_dir"], "picture-sheet.png")
    draw_sheet(
        rows, class_names, path, title="Mining and infer on the candidates, from the highest score to the lowest"
    )
    print(path)


if __name__ == "__main__":
    main()
