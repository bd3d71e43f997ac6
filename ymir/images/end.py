"""Whether a JPEG or PNG file is there to its end. A transfer that was cut short leaves a sound header."""

import struct
from typing import BinaryIO

_TAIL = 1024
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA
_PNG_END = b"IEND"


def jpeg_ends(stream: BinaryIO, length: int) -> bool:
    """Whether the marker that ends a JPEG image stands behind its first scan.

    In front of it one may belong to a thumbnail. Data that cameras append to an image may follow it, so where the last
    bytes lack it, the whole file is read.
    """
    stream.seek(max(0, length - _TAIL))
    if length > _TAIL and _JPEG_END in stream.read():
        return True
    stream.seek(0)
    data = stream.read()
    scan = _first_scan(data)
    return scan >= 0 and data.rfind(_JPEG_END, scan) >= 0


def _first_scan(data: bytes) -> int:
    """Where the first scan begins, -1 where the file stops before it: segments are a marker, their length in two bytes,
    and their data."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return position  # Something else between two segments, over which decoders step.
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker == _JPEG_SCAN:
            return position
        position += (
            2 if marker == 0x01 or 0xD0 <= marker <= 0xD8 else 2 + struct.unpack_from(">H", data, position + 2)[0]
        )
    return -1


def png_ends(stream: BinaryIO, length: int) -> bool:
    """Whether the chunk that ends a PNG image is there; other data may follow it."""
    stream.seek(max(0, length - 12))
    if stream.read(8)[4:] == _PNG_END:
        return True
    position = 8
    while position + 12 <= length:
        stream.seek(position)
        size, kind = struct.unpack(">I4s", stream.read(8))
        if kind == _PNG_END:
            return True
        position += 12 + size
    return False
