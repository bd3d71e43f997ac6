"""Reading images and label masks from files.

Files are opened by Python and decoded from memory, because OpenCV's own reading of a path fails on some platforms when
the path is not ASCII.

A file that stops before its end is an error with both backends: OpenCV's decoders give nothing for one (the tests hold
it to that, because older versions fill what is missing of a JPEG with grey), Pillow's raise. Of an animation or a file
of several pages, the first picture is read.
"""

import io
from typing import Type

import cv2
import numpy as np
from PIL import Image, ImageOps

from mmseg.datasets.pillow_files import open_picture
from mmseg.errors import DataError, ImageError
from mmseg.regular_files import open_regular

#: OpenCV's decoding flag of each colour type. All but the `_ignore_orientation` ones turn the image upright by its
#: EXIF tag.
CV2_FLAGS = {
    "color": cv2.IMREAD_COLOR,
    "grayscale": cv2.IMREAD_GRAYSCALE,
    "unchanged": cv2.IMREAD_UNCHANGED,
    "color_ignore_orientation": cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    "grayscale_ignore_orientation": cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
}

BACKENDS = ("cv2", "pillow")

#: What OpenCV decodes at most: pixels on a side, and in all.
MAX_SIDE = 1 << 20
MAX_PIXELS = 1 << 30

# What a grey image with transparency is laid over by mmcv's Pillow backend (RGB).
_CANVAS = (124, 117, 104)


def read_image(path: str, color_type: str = "color", backend: str = "cv2") -> np.ndarray:
    """Read an image file.

    Args:
        path: the file.
        color_type: a key of CV2_FLAGS. "color" gives 8-bit BGR whatever the file holds (grey, alpha, palette, 16 bit).
        backend: "cv2" or "pillow".

    Returns:
        (H, W, 3) uint8 in BGR order for "color", (H, W) uint8 for "grayscale"; what the file holds for "unchanged".

    Raises:
        ImageError: the file is missing, empty, truncated or cannot be decoded.
    """
    data = _read_bytes(path, "image", ImageError)
    if backend == "pillow":
        return _decode_pillow(data, color_type, path, "image", ImageError)
    return _decode_cv2(data, CV2_FLAGS[color_type], path, "image", ImageError)


def read_mask(path: str, backend: str = "pillow") -> np.ndarray:
    """Read a label mask: a file with one channel whose values are class ids. A palette image gives its indices.

    Args:
        path: the file.
        backend: "pillow", or "cv2", which cannot read palettes (it gives their colours, so such a mask is refused).

    Returns:
        (H, W) uint8.

    Raises:
        DataError: the file is missing, cannot be decoded, has more than one channel or values that are not 0 to 255.
    """
    data = _read_bytes(path, "label mask", DataError)
    if backend == "cv2":
        mask = _decode_cv2(data, cv2.IMREAD_UNCHANGED, path, "label mask", DataError)
    else:
        mask = _decode_pillow(data, "unchanged", path, "label mask", DataError)
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[:, :, 0]
    if mask.ndim != 2:
        raise DataError(f"label mask {path} has {mask.shape[-1]} channels, but one channel of class ids is expected")
    if mask.dtype != np.uint8:
        if mask.dtype != np.bool_ and (mask.min() < 0 or mask.max() > 255):
            raise DataError(
                f"label mask {path} has values from {mask.min()} to {mask.max()}, but class ids are 0 to 255"
            )
        mask = mask.astype(np.uint8)
    return mask


def check_opencv_limits(width: int, height: int, what: str, error: Type[DataError] = ImageError) -> None:
    """Refuse sizes that OpenCV does not decode.

    Args:
        what: names the file; the message starts with it.

    Raises:
        ImageError, or what `error` says.
    """
    if max(width, height) > MAX_SIDE:
        raise error(f"{what} is {width} wide and {height} high, but at most {MAX_SIDE} pixels on a side are decoded")
    if width * height > MAX_PIXELS:
        raise error(f"{what} is {width} wide and {height} high, but at most {MAX_PIXELS} pixels are decoded")


def _read_bytes(path: str, kind: str, error: Type[DataError]) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read()
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"cannot read {kind} {path}: {reason}") from cause
    if not data:
        raise error(f"cannot read {kind} {path}: the file is empty")
    return data


def _decode_cv2(data: bytes, flag: int, path: str, kind: str, error: Type[DataError]) -> np.ndarray:
    image, cause = None, None
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as caught:
        cause = caught
    if image is None:
        _check_size(data, path, kind, error)
        raise error(f"cannot decode {kind} {path}: it is damaged, truncated or of an unknown format") from cause
    return image


def _check_size(data: bytes, path: str, kind: str, error: Type[DataError]) -> None:
    try:
        width, height = open_picture(io.BytesIO(data)).size
    except Exception:  # the header is what is wrong; the caller says so
        return
    check_opencv_limits(width, height, f"{kind} {path}", error)


def _decode_pillow(data: bytes, color_type: str, path: str, kind: str, error: Type[DataError]) -> np.ndarray:
    _check_size(data, path, kind, error)
    try:
        image = open_picture(io.BytesIO(data))
        image.load()
        return _pillow_array(image, color_type)
    except Exception as cause:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more
        raise error(f"cannot decode {kind} {path}: it is damaged, truncated or of an unknown format") from cause


def _pillow_array(image: "Image.Image", color_type: str) -> np.ndarray:
    """An opened image as an array in the way mmcv's Pillow backend converts it."""
    if color_type == "unchanged":
        array = np.array(image)
        if array.ndim == 3 and array.shape[2] >= 3:
            array[:, :, :3] = array[:, :, 2::-1]
        return array
    if not color_type.endswith("_ignore_orientation"):
        image = ImageOps.exif_transpose(image)
    if image.mode == "LA":
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, _CANVAS)
        image.paste(layer, mask=layer.split()[3])
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if color_type.startswith("grayscale"):
        return np.array(image.convert("L"))
    return np.ascontiguousarray(np.array(image)[:, :, ::-1])
