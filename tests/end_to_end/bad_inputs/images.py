"""Images to train on, and candidates."""

from pathlib import Path
from typing import List

from tests.end_to_end.bad_inputs.row import BadInput
from tests.end_to_end.bad_inputs.spoiling import (
    CANDIDATE,
    IMAGE,
    cut,
    dangling,
    data,
    device,
    folder,
    pipe,
    png_of,
    remove,
    text,
)


def _images(kind: str, image: str) -> List[BadInput]:
    who = "a candidate" if kind == "infer" else "an image"
    name = Path(image).name
    return [
        BadInput(f"{who} is not there", kind, 300003, (name, "No such file"), remove(image)),
        BadInput(f"{who} is empty", kind, 300003, (name, "empty"), data(image, b"")),
        BadInput(f"{who} is a truncated JPEG", kind, 300003, (name, "truncated"), cut(image, 0.6), process=True),
        BadInput(f"{who} is a JPEG without its last bytes", kind, 300003, (name, "truncated"), cut(image, 0.99)),
        BadInput(f"{who} is a text", kind, 300003, (name, "unknown format"), text(image, "no image")),
        BadInput(f"{who} is a folder", kind, 300003, (name, "Is a directory"), folder(image)),
        BadInput(f"{who} is a pipe", kind, 300003, (name, "no regular file"), pipe(image)),
        BadInput(f"{who} is a device", kind, 300003, (name, "no regular file"), device(image)),
        BadInput(f"{who} is a link to nowhere", kind, 300003, (name, "No such file"), dangling(image)),
        BadInput(
            f"{who} declares 60,000 x 60,000 pixels",
            kind,
            300003,
            (name, "60000 wide and 60000 high"),
            data(image, png_of(60000, 60000)),
        ),
        BadInput(
            f"{who} is larger than max_image_pixels",
            kind,
            300003,
            (name, "64 wide and 48 high", "max_image_pixels allows 3071"),
            config={"max_image_pixels": 3071},
        ),
    ]


ROWS = [*_images("training", IMAGE), *_images("infer", CANDIDATE)]
