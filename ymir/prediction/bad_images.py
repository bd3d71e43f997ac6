"""Candidates that cannot be read, where the hyper-parameter on_bad_image says that they are skipped."""

import json
from pathlib import Path
from typing import Iterable, NamedTuple, Tuple

from mmseg.datasets.pillow_files import open_picture
from mmseg.errors import ImageError
from mmseg.regular_files import open_regular
from ymir.atomic import replacing
from ymir.images.header import image_shape

# Tells the records of bad images in a journal from those of the jobs.
BAD_IMAGE_KIND = 100


class NoReadableImageError(ImageError):
    """Not one of the candidates can be read."""


class BadImage(NamedTuple):
    """Why a candidate cannot be read, and its size in pixels, 0 where its header cannot be read either."""

    reason: str
    height: int
    width: int

    @classmethod
    def of(cls, path: str, error: Exception) -> "BadImage":
        """What is known of the file that raised `error`."""
        height, width = _declared_shape(Path(path))
        return cls(" ".join(str(error).split()), height, width)

    def to_bytes(self) -> bytes:
        """As the journal keeps it."""
        return json.dumps(self._asdict()).encode("utf-8")

    @classmethod
    def from_bytes(cls, payload: bytes) -> "BadImage":
        """What `to_bytes` wrote."""
        return cls(**json.loads(payload.decode("utf-8")))


def _declared_shape(path: Path) -> Tuple[int, int]:
    """(height, width) in pixels, 0 where the file does not even say that."""
    try:
        return image_shape(path)
    except ImageError:
        pass
    # It may be a file that was cut off, which has a header all the same.
    try:
        with open_regular(path) as stream:
            width, height = open_picture(stream).size
    except (OSError, ValueError):
        return 0, 0
    return int(height), int(width)


def write_bad_images(path: Path, bad: Iterable[Tuple[str, BadImage]]) -> None:
    """Write bad-images.tsv: `IMAGE<TAB>REASON`."""
    with replacing(path) as stream:
        for image, why in bad:
            stream.write(f"{image}\t{why.reason}\n")
