"""Files that a reader sees either whole in the old state or whole in the new one."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Iterator, Tuple

_PREFIX = ".partial-"


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w", *, durable: bool = True) -> Iterator[IO]:
    """Open a file beside `path` for writing; it takes the place of `path` when the block ends without an exception.

    `durable` flushes it to the disk first, for files whose loss would matter.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = _create_beside(path)
    try:
        with open(
            handle, mode, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else "\n"
        ) as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        # mkstemp makes files private; what lies under /out is read by another user.
        os.chmod(temporary, 0o644)
        os.replace(temporary, str(path))
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            error.filename, error.filename2 = str(path), None
        raise


def _create_beside(path: Path) -> Tuple[int, str]:
    """A new file for what `path` is to hold: its descriptor and name. An error names `path`, which people know."""
    try:
        # Not called after `path`, whose name may be as long as one can be.
        return tempfile.mkstemp(dir=str(path.parent), prefix=_PREFIX)
    except OSError as error:
        error.filename = str(path)
        raise


def remove_partial_files(folder: Path) -> None:
    """Remove what processes that were killed have left beside the files of a folder, into which nobody writes now."""
    for path in Path(folder).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            path.unlink()
