"""Opening pictures with Pillow, without decoding them.

`PIL.Image.open` refuses pictures by a limit on their pixels that is global to the process, and tries decoders that
OpenCV does not have. Here the caller decides about the pixels, and only what OpenCV decodes too is opened.
"""

import struct
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

#: The formats that OpenCV decodes, by Pillow's names.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000", "SUN", "AVIF")

_LONGEST_MAGIC = 16


def open_picture(stream: BinaryIO) -> "Image.Image":
    """The picture in `stream`, of which only the header has been read; its pixels are decoded by `load()`.

    Raises:
        UnidentifiedImageError: it is of no known format, or its header is damaged.
        OSError, ValueError: it cannot be read, or holds more than Pillow takes in.
    """
    Image.init()
    magic = stream.read(_LONGEST_MAGIC)
    for name in FORMATS:
        factory, accepts = Image.OPEN.get(name, (None, None))
        if factory is None:
            continue
        try:
            if accepts is not None and not _accepted(accepts(magic)):
                continue
            stream.seek(0)
            return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
    raise UnidentifiedImageError("it is damaged or of an unknown format")


def _accepted(answer: object) -> bool:
    # A format that this build of Pillow lacks answers with a text that says so.
    return bool(answer) and not isinstance(answer, str)
