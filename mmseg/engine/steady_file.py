"""Writing where an error halfway must not be raised at once."""

from typing import BinaryIO, Optional, Union


class SteadyFile:
    """A file to write to that keeps the first error for `finish`.

    torch's writer of checkpoints does not survive an error of its file: some versions end the process while they clean
    up after one, and all of them report something else than that the disk is full.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._error: Optional[OSError] = None

    def write(self, data: Union[bytes, memoryview]) -> int:
        """Write `data`, or nothing any more after an error; the number of bytes is that of `data` either way."""
        if self._error is None:
            try:
                self._stream.write(data)
            except OSError as error:
                self._error = error
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Nothing: `finish` flushes."""

    def finish(self) -> None:
        """Write what is still buffered.

        Raises:
            OSError: this, or one of the writes before, failed.
        """
        if self._error is not None:
            raise self._error
        self._stream.flush()
