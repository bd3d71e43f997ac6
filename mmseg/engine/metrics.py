"""Segmentation metrics from a confusion matrix, with mmsegmentation's definitions."""

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from mmseg.engine.distributed import all_reduce_sum
from mmseg.errors import DataError

Map = Union[torch.Tensor, np.ndarray]


class Picture(NamedTuple):
    """An evaluated image to look at: (h, w, 3) BGR uint8, its label and prediction (h, w), and its name."""

    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray
    name: str


@dataclass(frozen=True, eq=False)
class Metrics:
    """What an evaluation found; every number is a share in [0, 1].

    The arrays hold one float64 per class and are NaN where the definition divides by zero: for IoU and Dice a class in
    neither labels nor predictions, for Acc and Recall a class in no label, for Precision one that is never predicted,
    for Fscore where precision or recall is missing or both are 0. The means leave NaN out, and are 0.0 when no class is
    left, so that they are always finite; so is aAcc when every pixel is ignored.
    """

    aAcc: float
    mIoU: float
    mAcc: float
    mDice: float
    mFscore: float
    mPrecision: float
    mRecall: float
    IoU: np.ndarray
    Acc: np.ndarray
    Dice: np.ndarray
    Fscore: np.ndarray
    Precision: np.ndarray
    Recall: np.ndarray
    pictures: Tuple[Picture, ...] = ()

    SUMMARY = ("aAcc", "mIoU", "mAcc", "mDice", "mFscore", "mPrecision", "mRecall")
    PER_CLASS = ("IoU", "Acc", "Dice", "Fscore", "Precision", "Recall")

    def summary(self) -> Dict[str, float]:
        """The numbers over all classes, by name."""
        return {name: getattr(self, name) for name in self.SUMMARY}

    def to_dict(self) -> Dict[str, Any]:
        """All numbers as plain Python values: floats, and lists in class order with None for NaN."""
        values: Dict[str, Any] = dict(self.summary())
        for name in self.PER_CLASS:
            values[name] = [None if np.isnan(value) else float(value) for value in getattr(self, name)]
        return values

    def table(self, class_names: Optional[Sequence[str]] = None) -> str:
        """The numbers in percent as text: a line per class, then the means."""
        names = [str(name) for name in class_names] if class_names else [str(i) for i in range(len(self.IoU))]
        if len(names) != len(self.IoU):
            raise DataError(f"{len(names)} class names were given for the metrics of {len(self.IoU)} classes")
        rows: List[List[str]] = [["class", *self.PER_CLASS]]
        for index, name in enumerate(names):
            rows.append([name, *(_percent(getattr(self, column)[index]) for column in self.PER_CLASS)])
        rows.append(["mean", *(_percent(getattr(self, f"m{column}")) for column in self.PER_CLASS)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
            for row in rows
        ]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], f"all pixels: aAcc {_percent(self.aAcc)}"])


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.2f}"


class ConfusionMatrix:
    """Counts of pixels by label (row) and prediction (column), over any number of images.

    Args:
        num_classes: C; labels and predictions are 0 … C - 1.
        ignore_index: the label of pixels that do not count.

    `counts` is the (C, C) int64 tensor on the CPU.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise DataError(f"a confusion matrix needs at least one class, not {num_classes}")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    def update(self, prediction: Map, label: Map) -> None:
        """Count the pixels of two integer maps of the same shape, on any device.

        Raises DataError when the shapes differ or a value is neither a class nor, in the label, ignored.
        """
        prediction, label = torch.as_tensor(prediction), torch.as_tensor(label)
        if prediction.shape != label.shape:
            raise DataError(
                f"a prediction of shape {tuple(prediction.shape)} cannot be compared with a label of shape "
                f"{tuple(label.shape)}"
            )
        label = label.to(prediction.device, torch.int64)
        valid = label != self.ignore_index
        label, prediction = label[valid], prediction[valid].to(torch.int64)
        if label.numel() == 0:
            return
        self._check("a label", label)
        self._check("a prediction", prediction)
        joint = label.mul_(self.num_classes).add_(prediction)
        counts = torch.bincount(joint, minlength=self.num_classes**2)
        self.counts += counts.view(self.num_classes, self.num_classes).cpu()

    def all_reduce(self) -> None:
        """Add up the counts of all processes of the group, in each of them; nothing to do without a group."""
        self.counts = all_reduce_sum(self.counts)

    def metrics(self, pictures: Sequence[Picture] = ()) -> Metrics:
        """The metrics of the counts so far."""
        counts = self.counts.numpy().astype(np.float64)
        hits, labelled, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            recall, precision = hits / labelled, hits / predicted
            per_class = {
                "IoU": hits / (labelled + predicted - hits),
                "Acc": recall,
                "Dice": 2 * hits / (labelled + predicted),
                "Fscore": 2 * precision * recall / (precision + recall),
                "Precision": precision,
                "Recall": recall,
            }
        means = {f"m{name}": _mean(values) for name, values in per_class.items()}
        total = counts.sum()
        accuracy = float(hits.sum() / total) if total else 0.0
        return Metrics(aAcc=accuracy, **means, **per_class, pictures=tuple(pictures))

    def _check(self, what: str, values: torch.Tensor) -> None:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= self.num_classes:
            wrong = low if low < 0 else high
            raise DataError(f"{what} holds the value {wrong}, expected 0 to {self.num_classes - 1}")


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else 0.0
