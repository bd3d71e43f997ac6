"""How the C library takes memory from the system, and keeps what is given back."""

import ctypes

# Of glibc's mallopt.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST = 2**31 - 1
# Of Linux's madvise.
_MADV_HUGEPAGE = 14
_LARGE_PAGE = 2**21


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


def prefer_large_pages(size: int = 2**30) -> bool:
    """Let the next `size` bytes that the C library takes from the system come in pages of 2 MB, after
    `keep_freed_memory`; they are not taken yet.

    Superpixels walk through planes that are much larger than what a CPU remembers of pages of 4 KB.

    Returns:
        Whether Linux accepts that.
    """
    try:
        libc = ctypes.CDLL(None)
        malloc, madvise, free = libc.malloc, libc.madvise, libc.free
    except (OSError, AttributeError, TypeError):
        return False
    malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    free.argtypes = [ctypes.c_void_p]
    start = malloc(size)
    if not start:
        return False
    first = -(-start // _LARGE_PAGE) * _LARGE_PAGE
    accepted = madvise(first, max(0, start + size - first), _MADV_HUGEPAGE) == 0
    # The advice stays with the addresses.
    free(start)
    return accepted
