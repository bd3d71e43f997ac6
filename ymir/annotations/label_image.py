"""Label masks given as pictures (export_format seg-mask:raw): class indices, or colours that a labelmap.txt
explains."""

import contextlib
import re
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Tuple

import numpy as np
from PIL import Image

from mmseg.datasets.pillow_files import open_picture
from mmseg.regular_files import open_regular
from ymir.annotations.coco import UNCOVERED
from ymir.errors import DatasetError

LABEL_MAP = "labelmap.txt"
IGNORED_INDEX = 255

_COLOR = re.compile("[0-9]{1,3}")

# Colour of each class that is wanted, as r * 65536 + g * 256 + b, to its value in a label mask; None: pictures hold
# indices.
LabelColors = Optional[Dict[int, int]]


def read_label_colors(folder: Path, annotations_dir: Path, class_names: Sequence[str]) -> LabelColors:
    """The colours of `class_names` from the labelmap.txt beside the masks or in the annotations folder; None where
    there is no such file.

    Its lines are `NAME:R,G,B:PARTS:ACTIONS`, as the Pascal VOC export of annotation tools writes them; # starts a
    comment.

    Raises:
        DatasetError: a line is of another form, or no class of the task has a colour.
    """
    file = next((f for f in (folder / LABEL_MAP, annotations_dir / LABEL_MAP) if f.is_file()), None)
    if file is None:
        return None
    values = {name: index + 1 for index, name in enumerate(class_names)}
    colors = {}
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DatasetError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file} is not UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.split(":")[0].split(",")
        if len(parts) != 3 or not all(_COLOR.fullmatch(p.strip()) and int(p) < 256 for p in parts):
            raise DatasetError(f"{file}, line {number}: expected NAME:R,G,B, found {line!r}")
        if name.strip() in values:
            red, green, blue = (int(p) for p in parts)
            colors[red << 16 | green << 8 | blue] = values[name.strip()]
    if not colors:
        raise DatasetError(f"{file} gives no colour to any of class_names {list(class_names)}")
    return colors


def label_mask_of_picture(path: Path, shape: Tuple[int, int], colors: LabelColors) -> np.ndarray:
    """The label mask of one picture: (H, W) uint8, 0 where no class of the task lies, i + 1 where class i does.

    Without `colors` the picture holds class indices: its grey values or palette indices, 255 where nothing was
    annotated.

    Raises:
        DatasetError: the picture cannot be read, is not of the image's size, or is coloured without a labelmap.txt.
    """
    with _opened(path, shape, colors) as picture:
        pixels = np.array(picture if colors is None else picture.convert("RGB"))
    if colors is None:
        pixels = pixels.astype(np.uint8)
        return np.where(pixels == IGNORED_INDEX, UNCOVERED, pixels + 1).astype(np.uint8)
    packed = pixels[..., 0].astype(np.int32) << 16 | pixels[..., 1].astype(np.int32) << 8 | pixels[..., 2]
    mask = np.full(shape, UNCOVERED, np.uint8)
    for color, value in colors.items():
        mask[packed == color] = value
    return mask


def check_label_picture(path: Path, shape: Tuple[int, int], colors: LabelColors) -> None:
    """Raise what `label_mask_of_picture` would raise, as far as the header of the picture shows it."""
    with _opened(path, shape, colors):
        pass


@contextlib.contextmanager
def _opened(path: Path, shape: Tuple[int, int], colors: LabelColors) -> Iterator["Image.Image"]:
    """The picture, whose header fits; it is decoded in the block."""
    try:
        with open_regular(path) as stream:
            picture = open_picture(stream)
            if colors is None and picture.mode not in ("L", "P", "1"):
                raise DatasetError(
                    f"the label mask {path} is a {picture.mode} picture, but there is no {LABEL_MAP} that explains "
                    f"its colours"
                )
            if picture.size[::-1] != tuple(shape):
                raise DatasetError(
                    f"the label mask {path} is {picture.size[::-1]} (height, width), but its image is {tuple(shape)}"
                )
            yield picture
    except DatasetError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DatasetError(f"the label mask {path} cannot be read: {reason}") from error
