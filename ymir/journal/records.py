"""Append-only record files: what each process found out about each candidate, until the results are assembled in the
order of the index.

A record is a header (magic, position, kind, length, CRC-32 of the payload, CRC-32 of the header itself) and its
payload. Records are written by units, a few candidates that were worked on together; a unit ends with a record of its
own that holds its number. What a killed process leaves, a torn record or a unit without its end, counts as not written.
"""

import os
import struct
import time
import zlib
from array import array
from pathlib import Path
from typing import BinaryIO, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from ymir.errors import TaskError

# Position, kind (what it is, for its reader) and payload.
Entry = Tuple[int, int, bytes]

_HEADER = struct.Struct("<4sQIII")
_CHECK = struct.Struct("<I")
_HEADER_SIZE = _HEADER.size + _CHECK.size
_MAGIC = b"YJR2"
_END_OF_UNIT = 0xFFFFFFFF

# A machine that loses power loses at most the work of so many seconds; a process that is killed loses none.
_SECONDS_BETWEEN_SYNCS = 30.0
_BUFFER = 1 << 20


class JournalError(TaskError):
    """A record that was written is not there any more."""


class JournalWriter:
    """Appends units to one new file; each process, each time it is started, writes a file of its own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = open(path, "xb", buffering=_BUFFER)  # noqa: SIM115 - closed by close()
        self._synced = time.monotonic()

    def append(self, unit: int, entries: Iterable[Entry]) -> None:
        """Add all that is to be known of unit number `unit`. When this returns the operating system has it."""
        for position, kind, payload in entries:
            self._write(position, kind, payload)
        self._write(unit, _END_OF_UNIT, b"")
        self._stream.flush()
        if time.monotonic() - self._synced > _SECONDS_BETWEEN_SYNCS:
            os.fsync(self._stream.fileno())
            self._synced = time.monotonic()

    def _write(self, position: int, kind: int, payload: bytes) -> None:
        header = _HEADER.pack(_MAGIC, position, kind, len(payload), zlib.crc32(payload))
        self._stream.write(header + _CHECK.pack(zlib.crc32(header)))
        self._stream.write(payload)

    def close(self) -> None:
        """Write out what is buffered."""
        self._stream.close()

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Places(NamedTuple):
    """Where the payloads of one kind lie: an entry for each position, of length -1 where there is none."""

    file: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    checksum: np.ndarray


class Journal:
    """The records in a number of files, found by position and kind; payloads are read when they are asked for.

    Takes 18 bytes a position for each kind that occurs. `read` may be called in several threads.

    Args:
        files: record files; where several hold a unit the last one's records count.
        positions: number of positions; records of others are foreign, and end the reading of their file.
        check_payloads: read the payloads too, so that a unit with a damaged one counts as not written.
    """

    def __init__(self, files: Sequence[Path], positions: int, *, check_payloads: bool = False) -> None:
        self._paths = list(files)
        self._positions = positions
        self._places: Dict[int, _Places] = {}
        self._open: Dict[int, BinaryIO] = {}
        units: List[np.ndarray] = []
        for number, path in enumerate(self._paths):
            units.append(self._scan(number, path, check_payloads))
        self._units = np.unique(np.concatenate(units)) if units else np.zeros(0, np.int64)

    @property
    def units(self) -> np.ndarray:
        """The numbers of the units that are complete, rising, int64."""
        return self._units

    def positions(self, kind: int) -> np.ndarray:
        """The positions that have a record of this kind, rising, int64."""
        places = self._places.get(kind)
        return np.zeros(0, np.int64) if places is None else np.flatnonzero(places.length >= 0)

    def __contains__(self, key: Tuple[int, int]) -> bool:
        position, kind = key
        return kind in self._places and 0 <= position < self._positions and self._places[kind].length[position] >= 0

    def read(self, position: int, kind: int) -> bytes:
        """The payload of one record.

        Raises:
            KeyError: there is none.
            JournalError: its file was changed since.
        """
        if (position, kind) not in self:
            raise KeyError((position, kind))
        places = self._places[kind]
        number, length = int(places.file[position]), int(places.length[position])
        payload = os.pread(self._descriptor(number), length, int(places.offset[position]))
        if len(payload) < length or zlib.crc32(payload) != places.checksum[position]:
            raise JournalError(f"{self._paths[number]} is damaged; the task started again repeats what it held")
        return payload

    def close(self) -> None:
        """Close the files that were read from."""
        for stream in self._open.values():
            stream.close()
        self._open.clear()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _descriptor(self, number: int) -> int:
        if number not in self._open:
            stream = open(self._paths[number], "rb", buffering=0)  # noqa: SIM115 - closed by close()
            # Another thread may have opened it meanwhile; the first one stays.
            if self._open.setdefault(number, stream) is not stream:
                stream.close()
        return self._open[number].fileno()

    def _scan(self, number: int, path: Path, check_payloads: bool) -> np.ndarray:
        """Note the records of the units that are complete in one file; returns the numbers of these units."""
        units, unit = array("q"), []
        for position, kind, offset, length, checksum in _records(path, check_payloads):
            if kind == _END_OF_UNIT:
                for record in unit:
                    self._note(number, *record)
                units.append(position)
                unit = []
            elif position >= self._positions:
                break
            else:
                unit.append((position, kind, offset, length, checksum))
        return np.array(units, dtype=np.int64)

    def _note(self, file: int, position: int, kind: int, offset: int, length: int, checksum: int) -> None:
        if kind not in self._places:
            kinds = zip(_Places._fields, (np.uint16, np.int64, np.int32, np.uint32))
            self._places[kind] = _Places(**{name: np.zeros(self._positions, of) for name, of in kinds})
            self._places[kind].length.fill(-1)
        for values, value in zip(self._places[kind], (file, offset, length, checksum)):
            values[position] = value


def _records(path: Path, check_payloads: bool) -> Iterator[Tuple[int, int, int, int, int]]:
    """(position, kind, offset of the payload, its length, its checksum) of the sound records of a file up to the first
    that is not."""
    with open(path, "rb", buffering=_BUFFER) as stream:
        size = os.fstat(stream.fileno()).st_size
        end = 0
        while True:
            header = stream.read(_HEADER_SIZE)
            if len(header) < _HEADER_SIZE:
                return
            (header_checksum,) = _CHECK.unpack_from(header, _HEADER.size)
            magic, position, kind, length, checksum = _HEADER.unpack_from(header)
            offset = end + _HEADER_SIZE
            end = offset + length
            if magic != _MAGIC or zlib.crc32(header[: _HEADER.size]) != header_checksum or end > size:
                return
            if not check_payloads:
                stream.seek(length, os.SEEK_CUR)
            elif zlib.crc32(stream.read(length)) != checksum:
                return
            yield position, kind, offset, length, checksum
