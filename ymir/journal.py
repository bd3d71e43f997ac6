"""Append-only record files: what each process found out about each candidate, until the results are assembled in the
order of the index.

A record is a header (magic, position, kind, length, CRC-32 of the payload) and its payload. A torn last record, as a
killed process leaves it, ends
the reading of its file.
"""

import struct
import zlib
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Sequence, Tuple

_HEADER = struct.Struct("<4sQIII")
_MAGIC = b"YJR1"


class Record(NamedTuple):
    """Where one record's payload lies."""

    file: Path
    offset: int
    length: int
    checksum: int


class JournalWriter:
    """Appends records to one file; each process writes a file of its own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = open(path, "ab")  # noqa: SIM115 - closed by close()

    def append(self, position: int, kind: int, payload: bytes) -> None:
        """Add a record about candidate `position`; `kind` tells the records of different consumers apart."""
        self._stream.write(_HEADER.pack(_MAGIC, position, kind, len(payload), zlib.crc32(payload)) + payload)

    def close(self) -> None:
        """Write out what is buffered."""
        self._stream.close()

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Journal:
    """The records of all processes, found by candidate and kind; payloads are read when they are asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._records: Dict[Tuple[int, int], Record] = {}
        for file in files:
            for position, kind, record in _scan(file):
                self._records[position, kind] = record

    def __contains__(self, key: Tuple[int, int]) -> bool:
        return key in self._records

    def read(self, position: int, kind: int) -> bytes:
        """The payload of one record. Raises KeyError when there is none."""
        record = self._records[position, kind]
        with open(record.file, "rb") as stream:
            stream.seek(record.offset)
            return stream.read(record.length)


def _scan(file: Path) -> Iterator[Tuple[int, int, Record]]:
    with open(file, "rb") as stream:
        while True:
            header = stream.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            magic, position, kind, length, checksum = _HEADER.unpack(header)
            offset = stream.tell()
            payload = stream.read(length)
            if magic != _MAGIC or len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield position, kind, Record(file, offset, length, checksum)
