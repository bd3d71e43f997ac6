"""The size of an image from its header, without decoding it."""

import os
import struct
from pathlib import Path
from typing import BinaryIO, Optional, Tuple

from PIL import Image, UnidentifiedImageError

from mmseg.datasets.image_files import check_opencv_limits
from mmseg.datasets.pillow_files import open_picture
from mmseg.errors import ImageError
from mmseg.regular_files import open_regular
from ymir.images.end import jpeg_ends, png_ends

_EXIF_ORIENTATION = 0x0112
_EXIF_MAGIC = b"Exif\x00\x00"

# The formats whose EXIF block OpenCV looks into; a TIFF file has its orientation among its own tags.
_EXIF_FORMATS = ("JPEG", "MPO", "PNG")

_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257


def image_shape(path: Path, *, max_pixels: Optional[int] = None) -> Tuple[int, int]:
    """(height, width) of the image as it is decoded, that is after the rotation its EXIF data ask for.

    A JPEG or PNG file that stops before its end is found out too, which takes a look at its last bytes.

    Args:
        max_pixels: images of more pixels are refused; None: of more than OpenCV decodes.

    Raises:
        ImageError: the file is missing, truncated, of an unknown format, or has too many pixels.
    """
    try:
        with open_regular(path) as stream:
            width, height, orientation = _header(stream)
            _check_pixels(path, width, height, max_pixels)
            _check_end(stream)
    except ImageError:
        raise
    except Exception as error:  # Pillow's readers raise OSErrors without a number, ValueError, KeyError and more
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"the image {path} cannot be read: {reason}") from error
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def _check_pixels(path: Path, width: int, height: int, max_pixels: Optional[int]) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise ImageError(
            f"the image {path} is {width} wide and {height} high, that is {width * height} pixels, but "
            f"max_image_pixels allows {max_pixels}"
        )
    check_opencv_limits(width, height, f"the image {path}")


def _header(stream: BinaryIO) -> Tuple[int, int, int]:
    """Width, height and EXIF orientation."""
    magic = stream.read(12)
    if not magic:
        raise UnidentifiedImageError("the file is empty")
    if magic[:4] == b"RIFF" and magic[8:] == b"WEBP":
        return _webp_header(stream)
    stream.seek(0)
    picture = open_picture(stream)
    if picture.format == "TIFF":
        # Pillow's size is the turned one or not, depending on its version.
        tags = picture.tag_v2
        return int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT]), tags.get(_EXIF_ORIENTATION, 1)
    width, height = picture.size
    return width, height, _orientation(picture.info.get("exif") if picture.format in _EXIF_FORMATS else None)


def _orientation(exif: Optional[bytes]) -> int:
    """The orientation in raw EXIF data; 1, upright, where they say nothing or are damaged, as OpenCV takes them."""
    if not exif:
        return 1
    parsed = Image.Exif()
    try:
        parsed.load(exif if exif.startswith(_EXIF_MAGIC) else _EXIF_MAGIC + exif)
        return parsed.get(_EXIF_ORIENTATION, 1)
    except Exception:  # the parser of a damaged block fails in many ways
        return 1


def _webp_header(stream: BinaryIO) -> Tuple[int, int, int]:
    """Width, height and orientation of a WebP file, whose chunks stand after the first 12 bytes.

    Read here because Pillow reads the whole file and makes room for its pixels. The layout is that of Google's WebP
    Container Specification and of RFC 6386, section 9.1.
    """
    size, orientation, has_exif = None, 1, False
    while True:
        head = stream.read(8)
        if len(head) < 8:
            break
        kind, length = head[:4], struct.unpack("<I", head[4:])[0]
        following = stream.tell() + length + length % 2
        if kind == b"VP8X":
            flags, width, height = struct.unpack("<B3x3s3s", stream.read(10))
            has_exif = bool(flags & 8)
            size = (1 + int.from_bytes(width, "little"), 1 + int.from_bytes(height, "little"))
        elif kind == b"VP8L" and size is None:
            bits = struct.unpack("<xI", stream.read(5))[0]
            size = (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        elif kind == b"VP8 " and size is None:
            width, height = struct.unpack("<6xHH", stream.read(10))
            size = (width & 0x3FFF, height & 0x3FFF)
        elif kind == b"EXIF":
            orientation, has_exif = _orientation(stream.read(length)), False
        if size is not None and not has_exif:
            break
        stream.seek(following)
    if size is None or not all(size):
        raise UnidentifiedImageError("it is damaged or truncated")
    return (*size, orientation)


def _check_end(stream: BinaryIO) -> None:
    length = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    magic = stream.read(8)
    if (magic[:3] == b"\xff\xd8\xff" and not jpeg_ends(stream, length)) or (
        magic == b"\x89PNG\r\n\x1a\n" and not png_ends(stream, length)
    ):
        raise UnidentifiedImageError("it is truncated")
