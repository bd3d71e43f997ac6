"""What to do when the memory does not suffice, said in the words of the hyper-parameters."""

import contextlib
import math
from typing import Iterator, Sequence

from mmseg.errors import OutOfMemoryError
from mmseg.torch_compat import is_out_of_memory


@contextlib.contextmanager
def memory_advice(*, device: str, samples: int, size: Sequence[int], option: str) -> Iterator[None]:
    """Within the block, a lack of memory becomes an OutOfMemoryError whose sentence says what would need half of it.

    Args:
        device: a torch device; decides whether the sentence speaks of the GPU's memory.
        samples: images in the batch, the hyper-parameter samples_per_gpu.
        size: (height, width) of the images in the batch, in pixels.
        option: the hyper-parameter by which people set that size, `crop_size` or `image_size`.

    Raises:
        OutOfMemoryError: in place of whatever torch or Python raised for want of memory.
    """
    try:
        yield
    except OutOfMemoryError:
        raise
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(halving_advice(device=device, samples=samples, size=size, option=option)) from error


def halving_advice(*, device: str, samples: int, size: Sequence[int], option: str) -> str:
    """The sentence of `memory_advice`. Sizes in it are width x height, as the hyper-parameters have them."""
    height, width = size
    smaller = "x".join(str(max(1, round(side / math.sqrt(2)))) for side in (width, height))
    fewer = f"samples_per_gpu {samples // 2}, or " if samples > 1 else ""
    return (
        f"out of {'GPU ' if str(device).startswith('cuda') else ''}memory with samples_per_gpu {samples} and "
        f"{'crops' if option == 'crop_size' else 'images'} of {width}x{height}: {fewer}{option} {smaller} (half the "
        "pixels), would need about half"
    )
