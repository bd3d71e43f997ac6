"""The pictures of a report: a thumbnail with what is to be labelled in it."""

import base64
import math
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mmseg.datasets.palette import generate_palette
from ymir.report.formatting import counted, number, share, text
from ymir.report.region_pictures import encode_jpeg, thumbnail

# Longest side of a thumbnail in pixels, tried one after the other with the quality, until one has few enough bytes.
_THUMBNAILS = ((512, 80), (512, 60), (400, 55), (320, 45), (240, 40), (160, 30))
_THUMBNAIL_BYTES = 40_000
# Classes named under a picture.
_CLASSES_NAMED = 4
_HEAD = (
    '<tr><th scope="col">class</th><th scope="col">regions</th><th scope="col">best</th><th scope="col">area</th></tr>'
)
_NO_COLOUR = "#8a8f98"


class ReportRegion(NamedTuple):
    """One region to label: the class predicted for it, its score, and the number of its pixels."""

    class_id: int
    score: float
    pixel_count: int


class ClassShare(NamedTuple):
    """The regions of one class in one image: how many, the best score, and their pixels."""

    class_id: int
    regions: int
    best: float
    pixels: int


class ClassLegend:
    """Names and colours of classes by their ids; those beyond the names have a number for a name, and negative ids
    stand for no class."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [str(name) for name in names]
        self._colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in generate_palette(len(self._names))]

    def __len__(self) -> int:
        return len(self._names)

    def name(self, class_id: int) -> str:
        if class_id < 0:
            return "no class"
        return self._names[class_id] if class_id < len(self._names) else f"class {class_id}"

    def colour(self, class_id: int) -> str:
        """A CSS colour."""
        return self._colours[class_id] if 0 <= class_id < len(self._colours) else _NO_COLOUR


def class_shares(regions: Sequence[ReportRegion]) -> List[ClassShare]:
    """The classes of an image's regions, those of most pixels first."""
    shares: Dict[int, ClassShare] = {}
    for region in regions:
        class_id, score, pixels = int(region.class_id), float(region.score), int(region.pixel_count)
        old = shares.get(class_id, ClassShare(class_id, 0, -math.inf, 0))
        best = score if score > old.best else old.best
        shares[class_id] = ClassShare(class_id, old.regions + 1, best, old.pixels + pixels)
    return sorted(shares.values(), key=lambda entry: (-entry.pixels, entry.class_id))


def picture_card(
    *,
    rank: int,
    name: str,
    score: float,
    classes: Sequence[ClassShare],
    pixels: int,
    target: Optional[str],
    picture: np.ndarray,
    legend: ClassLegend,
) -> str:
    """HTML: one image with its regions to label.

    Args:
        rank: 1 for the best image.
        name: of the image.
        score: of the image.
        classes: of its regions to label.
        pixels: of the image.
        target: the URL that the picture links to, None where there is none.
        picture: (H, W, 3) uint8, BGR; at most 40,000 bytes of a thumbnail of it are kept.
        legend: of the classes.
    """
    encoded, height, width = _small_jpeg(picture)
    source = "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")
    named = ", ".join(legend.name(entry.class_id) for entry in classes[:_CLASSES_NAMED]) or "nothing"
    description = text(f"{name} with its regions to label outlined: {named}")
    image = (
        f'<img src="{source}" width="{width}" height="{height}" loading="lazy" decoding="async" alt="{description}">'
    )
    frame = f'<a class="frame" href="{text(target)}">{image}</a>' if target else f'<div class="frame">{image}</div>'
    regions = counted(sum(entry.regions for entry in classes), "region")
    area = share(sum(entry.pixels for entry in classes), pixels)
    return (
        f'<article class="card">{frame}<div class="card-body"><h3><span class="rank">{number(rank)}</span>'
        f'<bdi title="{text(name)}">{text(name)}</bdi></h3>'
        f'<p class="card-facts">score <b>{number(score)}</b> · {regions} · {area} area</p>'
        f"{_class_table(classes, pixels, legend)}</div></article>"
    )


def _class_table(classes: Sequence[ClassShare], pixels: int, legend: ClassLegend) -> str:
    if not classes:
        return ""
    rows = [
        f'<tr><th scope="row"><span class="key" style="background:{legend.colour(entry.class_id)}"></span>'
        f"<bdi>{text(legend.name(entry.class_id))}</bdi></th><td>{number(entry.regions)}</td>"
        f"<td>{number(entry.best)}</td><td>{share(entry.pixels, pixels)}</td></tr>"
        for entry in classes[:_CLASSES_NAMED]
    ]
    if len(classes) > _CLASSES_NAMED:
        more = counted(len(classes) - _CLASSES_NAMED, "more class", "more classes")
        rows.append(f'<tr><td colspan="4">and {more}</td></tr>')
    return f"<table>{_HEAD}{''.join(rows)}</table>"


def _small_jpeg(picture: np.ndarray) -> Tuple[bytes, int, int]:
    """A thumbnail of few bytes as a JPEG file, its height and width."""
    for longest, quality in _THUMBNAILS:
        small = thumbnail(picture, longest)
        encoded = encode_jpeg(small, quality)
        if len(encoded) <= _THUMBNAIL_BYTES:
            break
    return encoded, small.shape[0], small.shape[1]
