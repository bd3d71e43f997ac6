"""How the C library keeps memory that torch has given back."""

import ctypes

# Of glibc's mallopt.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the C library keep what is freed instead of handing it back to the system. Children that are forked inherit
    this.

    Large tensors come from the system by default, page by page and zeroed, and go back when they are freed, which
    for the activations of a network on large images takes a CPU as long as the convolutions.

    Returns:
        Whether it can be told so: glibc can.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST))
