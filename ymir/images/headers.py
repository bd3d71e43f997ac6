"""The headers of many images, read by several threads."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterable, Iterator, Tuple, TypeVar, Union

from mmseg.errors import ImageError
from ymir.images.header import image_shape

Key = TypeVar("Key")
Shape = Tuple[int, int]

# Images that a thread reads between two changes of turn, and the threads: most of the time goes into waiting for a
# disk or a network, and what computing there is, Python does one thread at a time.
_BATCH = 64
_THREADS = 8


def image_headers(
    images: Iterable[Tuple[Key, str]], max_pixels: int, on_done: Callable[[int], None]
) -> Iterator[Tuple[Key, Union[Shape, ImageError]]]:
    """(height, width) of each image, or what is wrong with it, in the order given.

    Args:
        images: any key, and the path of the image.
        max_pixels: images of more pixels are wrong.
        on_done: called now and then with how many are done.
    """
    images = iter(images)
    done = 0
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        while True:
            # Not all at once: what the pool has been given and has done stays in memory.
            batches = list(itertools.islice(iter(lambda: list(itertools.islice(images, _BATCH)), []), 4 * _THREADS))
            if not batches:
                return
            results = pool.map(lambda batch: [_header(path, max_pixels) for _, path in batch], batches)
            for batch, found in zip(batches, results):
                yield from ((key, result) for (key, _), result in zip(batch, found))
                done += len(batch)
                on_done(done)


def _header(path: str, max_pixels: int) -> Union[Shape, ImageError]:
    try:
        return image_shape(Path(path), max_pixels=max_pixels)
    except ImageError as error:
        return error
