"""Opening files that other people name, which may be anything that has a path."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Union


def open_regular(path: Union[str, Path]) -> BinaryIO:
    """Open a file for reading, in binary.

    A pipe or a device is refused: to open or to read one may wait, or go on, for ever.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        ValueError: no path can be like this one.
    """
    return open(path, "rb", opener=_open)


def _open(path: str, flags: int) -> int:
    # Without waiting for somebody who writes into a pipe; and a terminal does not become that of this process.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # Python itself refuses a folder.
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "it is no regular file", path)
