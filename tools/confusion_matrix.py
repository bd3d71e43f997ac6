"""Which classes a trained model takes for which, as a picture and a table."""

import argparse
import os
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command import (  # isort: skip  (sets what OpenMP reads when torch is loaded)
    add_checkpoint,
    add_config,
    add_device,
    add_loading,
    add_out,
    add_split,
    command_parser,
    read_config,
    run_command,
)

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmseg.apis import init_segmentor
from mmseg.apis.evaluation import build_test_set, predict_dataset
from mmseg.engine.metrics import ConfusionMatrix


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    result = command_parser(
        "Which classes a trained model takes for which: a table in percent of each class's pixels, and a picture.",
        "python tools/confusion_matrix.py --config CONFIG.py --checkpoint best.pth --out confusion.png",
        "python tools/confusion_matrix.py --config CONFIG.py --checkpoint best.pth --split val --out c.png",
    )
    add_config(result)
    add_checkpoint(result)
    add_split(result, "test")
    add_device(result)
    add_out(result, "the picture", metavar="PNG")
    result.add_argument("--title", default="", help="above the picture")
    add_loading(result)
    return result


def confusion_matrix(options: argparse.Namespace) -> None:
    """Do what the options ask for."""
    cfg = read_config(options)
    dataset = build_test_set(cfg, options.split)
    model = init_segmentor(cfg, options.checkpoint, options.device)
    confusion = ConfusionMatrix(len(dataset.CLASSES), dataset.ignore_index)
    predictions = predict_dataset(
        model,
        dataset,
        device=options.device,
        samples_per_gpu=options.samples_per_gpu,
        workers_per_gpu=options.workers_per_gpu,
    )
    for _, label, class_map in predictions:
        confusion.update(class_map, label)
    shares = row_shares(confusion.counts.numpy())
    print(table(shares, dataset.CLASSES))
    draw(shares, dataset.CLASSES, options.out, options.title)
    print(options.out)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """(C, C) counts by label and prediction as shares of each label; NaN where a label does not occur."""
    total = counts.sum(axis=1, keepdims=True).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts / np.where(total > 0, total, np.nan)


def table(shares: np.ndarray, class_names: Sequence[str]) -> str:
    """The shares in percent as text: a line for each label, a column for each prediction."""
    names = [name[:10] for name in class_names]
    widths = [max(len(name), 5) for name in names]
    first = max(len("label"), *(len(name) for name in class_names))
    lines = ["  ".join(["label".ljust(first), *(name.rjust(width) for name, width in zip(names, widths))])]
    for name, row in zip(class_names, shares):
        cells = ["-" if np.isnan(value) else f"{100 * value:.1f}" for value in row]
        lines.append("  ".join([name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, widths))]))
    return "\n".join(lines)


def draw(shares: np.ndarray, class_names: Sequence[str], path: Path, title: str = "") -> None:
    """Draw the shares as a PNG, with numbers where there is room for them."""
    classes = len(class_names)
    side = min(max(3.0, 0.42 * classes), 40.0)
    longest = max(len(name) for name in class_names)
    margin = 0.55 + 0.085 * min(longest, 24)
    figure = Figure(figsize=(side + margin + 0.9, side + margin + 0.5), dpi=120, facecolor="white")
    width, height = figure.get_size_inches()
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    image = axes.imshow(100 * np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=100)
    names = [name if len(name) <= 24 else f"{name[:23]}…" for name in class_names]
    axes.set_xticks(range(classes))
    axes.set_yticks(range(classes))
    axes.set_xticklabels(names, rotation=90, fontsize=9)
    axes.set_yticklabels(names, fontsize=9)
    axes.set_xlabel("prediction", fontsize=10)
    axes.set_ylabel("label", fontsize=10)
    if title:
        axes.set_title(title, fontsize=11)
    if classes <= 40:
        for row in range(classes):
            for column in range(classes):
                value = shares[row, column]
                text = "–" if np.isnan(value) else f"{100 * value:.0f}"
                if text == "0":
                    continue
                colour = "white" if value > 0.5 else "#1b1f24"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    bar = figure.add_axes(((margin + side + 0.15) / width, margin / height, 0.15 / width, side / height))
    figure.colorbar(image, cax=bar).ax.tick_params(labelsize=8)
    bar.set_title("%", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(os.fspath(path))


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(parser(), confusion_matrix, arguments)


if __name__ == "__main__":
    sys.exit(main())
