"""Files that a reader sees either whole in the old state or whole in the new one."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Iterator


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w", *, durable: bool = True) -> Iterator[IO]:
    """Open a file beside `path` for writing; it takes the place of `path` when the block ends without an exception.

    `durable` flushes it to the disk first, for files whose loss would matter.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=str(path.parent), prefix=f".{path.name}.")
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
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
