"""Class maps as pictures."""

import os
from pathlib import Path
from typing import Sequence, Union

import cv2
import numpy as np
from PIL import Image

from mmseg.errors import DataError

PathLike = Union[str, "os.PathLike[str]"]
Palette = Sequence[Sequence[int]]


def colour_class_map(class_map: np.ndarray, palette: Palette) -> np.ndarray:
    """A class map (H, W) in the colours [R, G, B] of its classes, (H, W, 3) BGR uint8; black where it is no class."""
    colours = np.zeros((len(palette) + 1, 3), np.uint8)
    colours[:-1] = np.asarray(palette, dtype=np.uint8).reshape(-1, 3)[:, ::-1]
    classes = np.asarray(class_map).astype(np.int64)
    classes[(classes < 0) | (classes >= len(palette))] = len(palette)
    return colours[classes]


def overlay(image: np.ndarray, class_map: np.ndarray, palette: Palette, opacity: float = 0.5) -> np.ndarray:
    """The image (H, W, 3) BGR uint8 with the classes' colours over it; what is no class stays as it is."""
    if image.shape[:2] != class_map.shape:
        raise DataError(f"a class map of shape {class_map.shape} does not lie over an image of {image.shape[:2]}")
    known = ((class_map >= 0) & (class_map < len(palette)))[..., None]
    mixed = (1 - opacity) * image + opacity * colour_class_map(class_map, palette)
    return np.where(known, np.rint(mixed), image).astype(np.uint8)


def write_picture(path: PathLike, picture: np.ndarray) -> None:
    """Write (H, W, 3) BGR or (H, W) uint8; the name's ending says the format. Makes the folder."""
    path = Path(path)
    try:
        done, encoded = cv2.imencode(path.suffix, picture)
    except cv2.error:
        done = False
    if not done:
        raise DataError(f"{path}: a picture cannot be written in the format {path.suffix!r}, use .png or .jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded.tobytes())


def write_class_map(path: PathLike, class_map: np.ndarray, palette: Palette) -> None:
    """Write a class map (H, W) as a PNG whose values are the classes and whose palette has their colours."""
    path = Path(path)
    if class_map.min() < 0 or class_map.max() > 255:
        raise DataError(f"{path}: a PNG holds the classes 0 to 255, not {class_map.min()} to {class_map.max()}")
    height, width = class_map.shape
    picture = Image.frombytes("P", (width, height), np.ascontiguousarray(class_map, dtype=np.uint8).tobytes())
    picture.putpalette([int(channel) for colour in palette[:256] for channel in colour])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG")


def legend(class_names: Sequence[str], palette: Palette, *, row_height: int = 26) -> np.ndarray:
    """The classes' names beside their colours, one below the other, as (H, W, 3) BGR uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    longest = max(len(name) for name in class_names)
    figure = Figure(figsize=(0.9 + 0.1 * longest, (len(class_names) + 0.7) * row_height / 100), dpi=100)
    figure.patch.set_facecolor("white")
    canvas = FigureCanvasAgg(figure)
    patches = [
        Patch(facecolor=[channel / 255 for channel in colour], edgecolor="#b0b4b8", label=name)
        for name, colour in zip(class_names, palette)
    ]
    figure.legend(handles=patches, loc="center left", frameon=False, fontsize=10, bbox_to_anchor=(0.0, 0.5))
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., 2::-1])


def side_by_side(*pictures: np.ndarray, gap: int = 4) -> np.ndarray:
    """Pictures of one height next to one another with a white gap, (H, W, 3) BGR uint8."""
    line = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, line)]
    return np.hstack(row[:-1])


def denormalized(image: np.ndarray, mean: Sequence[float], std: Sequence[float], to_rgb: bool) -> np.ndarray:
    """A network's input (3, H, W) back as a picture (H, W, 3) BGR uint8."""
    picture = image.transpose(1, 2, 0) * np.asarray(std, np.float32) + np.asarray(mean, np.float32)
    picture = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(picture[:, :, ::-1]) if to_rgb else picture
