"""The size of an image from its header, without decoding it."""

from pathlib import Path
from typing import Tuple

from PIL import Image, UnidentifiedImageError

from mmseg.errors import ImageError

_EXIF_ORIENTATION = 0x0112


def image_shape(path: Path) -> Tuple[int, int]:
    """(height, width) of the image as it is decoded, that is after the rotation its EXIF data ask for.

    Raises:
        ImageError: the file is missing or of an unknown format.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise ImageError(f"the image {path} cannot be read: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise ImageError(f"the image {path} cannot be read: {error.strerror or error}") from error
    return (width, height) if turned else (height, width)
