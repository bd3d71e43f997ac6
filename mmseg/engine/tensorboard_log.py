"""Losses, learning rates, metrics and a few predicted pictures for TensorBoard.

Events are written with tensorboard's own writer: torch.utils.tensorboard of torch 1.8 depends on modules that newer
Pythons, setuptools and numpys no longer have.
"""

import time
from pathlib import Path
from typing import Any, List, Optional, Sequence

import cv2
import numpy as np

from mmseg.datasets import generate_palette
from mmseg.engine.callbacks import Callback, EndEvent, EvaluationEvent, IterationEvent, StartEvent
from mmseg.engine.metrics import Picture


class TensorBoardLogger(Callback):
    """Writes an event file into a folder.

    Tags: `train/NAME` of every loss, `train/learning_rate`; `val/mIoU` and the other means; `val_IoU/CLASS`;
    `val/picture_I`: image, label and prediction side by side, in the classes' colours, ignored pixels black.

    Args:
        folder: made when it is missing.
        max_side: pictures are made smaller until no side of the image is longer.
    """

    def __init__(self, folder: Path, *, max_side: int = 512) -> None:
        self.folder = Path(folder)
        self.max_side = max_side
        self._writer: Any = None
        self._classes: Optional[Sequence[str]] = None
        self._palette: Optional[np.ndarray] = None

    def on_start(self, event: StartEvent) -> None:
        # Imported here because it takes a second, and only a training writes events.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventFileWriter(str(self.folder))
        self._classes = event.meta.get("CLASSES")
        palette = event.meta.get("PALETTE")
        self._palette = None if palette is None else np.asarray(palette, dtype=np.uint8)
        # Makes TensorBoard drop what an earlier run wrote after the checkpoint that this one resumes from, and all of
        # it where this one begins anew.
        start = SessionLog(status=SessionLog.START)
        self._writer.add_event(Event(wall_time=time.time(), step=event.iteration + 1, session_log=start))

    def on_iteration(self, event: IterationEvent) -> None:
        if event.mean_losses is None:
            return
        for name, value in event.mean_losses.items():
            self._scalar(f"train/{name}", value, event.iteration)
        self._scalar("train/learning_rate", event.learning_rates[0], event.iteration)

    def on_evaluation(self, event: EvaluationEvent) -> None:
        for name, value in event.metrics.summary().items():
            self._scalar(f"val/{name}", value, event.iteration)
        names = self._classes or [str(index) for index in range(len(event.metrics.IoU))]
        for name, value in zip(names, event.metrics.IoU):
            if not np.isnan(value):
                self._scalar(f"val_IoU/{name}", float(value), event.iteration)
        palette = self._palette
        if palette is None:
            palette = np.asarray(generate_palette(len(event.metrics.IoU)), dtype=np.uint8)
        for index, picture in enumerate(event.pictures):
            self._image(f"val/picture_{index}", _sheet(picture, palette, self.max_side), event.iteration)
        self._writer.flush()

    def on_end(self, event: EndEvent) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _scalar(self, tag: str, value: float, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add([Summary.Value(tag=tag, simple_value=value)], step)

    def _image(self, tag: str, image: np.ndarray, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        _, encoded = cv2.imencode(".png", image)
        height, width = image.shape[:2]
        summary = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded.tobytes())
        self._add([Summary.Value(tag=tag, image=summary)], step)

    def _add(self, values: List[Any], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def _sheet(picture: Picture, palette: np.ndarray, max_side: int) -> np.ndarray:
    """Image, label and prediction side by side, (h, 3w, 3) BGR uint8."""
    height, width = picture.image.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    panels = [cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA)]
    for classes in (picture.label, picture.prediction):
        coloured = np.zeros((*classes.shape, 3), np.uint8)
        known = (classes >= 0) & (classes < len(palette))
        coloured[known] = palette[classes[known]][:, ::-1]  # palettes are RGB
        panels.append(cv2.resize(coloured, size, interpolation=cv2.INTER_NEAREST))
    return np.hstack(panels)
