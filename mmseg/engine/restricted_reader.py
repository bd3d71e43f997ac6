"""A reader of the file format of `torch.save` that knows only the names that weights, numbers and text need.

It is for the versions of torch that have no sound reader of that kind; it reads both formats there have been.
Whatever a file asks to be called is looked up in a fixed table of functions that make plain values and records.
"""

import codecs
import collections
import pickle
import struct
import zipfile
from typing import Any, BinaryIO, Callable, Dict, Optional, Tuple

import numpy as np
import torch

from mmseg.engine.checkpoint_limits import PYTHON_2_MODULES, is_archive
from mmseg.engine.checkpoint_records import NUMPY_NAMES, Malformed, RefusedGlobal, StorageRecord, TensorRecord

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

# name of a storage class → (type of its elements, a type of the same size that numpy can hold)
_STORAGES = {
    "DoubleStorage": (torch.float64, np.float64),
    "FloatStorage": (torch.float32, np.float32),
    "HalfStorage": (torch.float16, np.float16),
    "BFloat16Storage": (torch.bfloat16, np.int16),
    "LongStorage": (torch.int64, np.int64),
    "IntStorage": (torch.int32, np.int32),
    "ShortStorage": (torch.int16, np.int16),
    "CharStorage": (torch.int8, np.int8),
    "ByteStorage": (torch.uint8, np.uint8),
    "BoolStorage": (torch.bool, np.bool_),
    "ComplexFloatStorage": (torch.complex64, np.complex64),
    "ComplexDoubleStorage": (torch.complex128, np.complex128),
}


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *ignored: Any) -> TensorRecord:
    return TensorRecord(storage, offset, size, stride)


def _rebuild_parameter(data: Any, *ignored: Any) -> Any:
    return data


def _ordered_dict(items: Any = ()) -> Any:
    return collections.OrderedDict(items)


def _encode(text: Any, encoding: Any) -> bytes:
    """How protocol 2 spells bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", "ascii", "utf-8", "utf8"):
        raise RefusedGlobal(f"_codecs.encode({encoding!r})")
    return codecs.encode(text, encoding)


class Named:
    """What a name in a file stands for. It can be called, but neither subclassed nor changed by the file."""

    __slots__ = ("name", "_function")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedGlobal(f"a change of {self.name}")


def _not_called(*arguments: Any) -> Any:
    raise Malformed("makes a bare storage, which no checkpoint does")


NAMED = {
    name: Named(name, function)
    for name, function in {
        **NUMPY_NAMES,
        **{f"torch.{storage}": _not_called for storage in _STORAGES},
        "torch._utils._rebuild_tensor": _rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils._rebuild_parameter": _rebuild_parameter,
        "torch.Size": tuple,
        "collections.OrderedDict": _ordered_dict,
        "_codecs.encode": _encode,
        "builtins.set": set,
        "builtins.complex": complex,
    }.items()
}


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the names of `NAMED` only. `open_storage(kind, key, numel)` gives a storage."""

    def __init__(self, file: BinaryIO, open_storage: Optional[Callable[[str, str, int], StorageRecord]] = None) -> None:
        super().__init__(file, encoding="utf-8")
        self._open_storage = open_storage

    def find_class(self, module: str, name: str) -> Any:
        full = f"{PYTHON_2_MODULES.get(module, module)}.{name}"
        if full not in NAMED:
            raise RefusedGlobal(full)
        return NAMED[full]

    def persistent_load(self, identity: Any) -> StorageRecord:
        sound = isinstance(identity, tuple) and len(identity) >= 5 and identity[0] == "storage"
        if not sound or not isinstance(identity[1], Named) or self._open_storage is None:
            raise Malformed("refers to something other than a storage")
        _, kind, key, _, numel = identity[:5]
        kind_name = kind.name.rpartition(".")[2]
        if kind_name not in _STORAGES or not isinstance(key, str) or type(numel) is not int or numel < 0:
            raise Malformed("refers to a storage that cannot be")
        storage = self._open_storage(kind_name, key, numel)
        view = identity[5] if len(identity) > 5 else None
        if view is None:
            return storage
        _, offset, length = view
        if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length <= numel:
            raise Malformed("refers to a part of a storage that reaches over its end")
        return StorageRecord(storage.elements[offset : offset + length])


def _elements(kind: str, data: bytearray) -> torch.Tensor:
    """One-dimensional tensor over little-endian bytes."""
    dtype, numpy_dtype = _STORAGES[kind]
    if not data:
        return torch.empty(0, dtype=dtype)
    tensor = torch.from_numpy(np.frombuffer(data, dtype=numpy_dtype))
    return tensor if tensor.dtype == dtype else tensor.view(dtype)


def _byte_size(kind: str, numel: int) -> int:
    return numel * np.dtype(_STORAGES[kind][1]).itemsize


def _read_zip(path: str) -> Any:
    """The format since torch 1.6: an archive of one pickle and one entry for each storage."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise Malformed("is an archive, but not one that torch.save wrote")
        folder = pickles[0][: -len("data.pkl")]
        if f"{folder}constants.pkl" in entries:
            raise Malformed("is a TorchScript program, not a checkpoint")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise Malformed("was saved on a big-endian machine, which is not supported")
        storages: Dict[str, Tuple[str, int, StorageRecord]] = {}

        def open_storage(kind: str, key: str, numel: int) -> StorageRecord:
            if key not in storages:
                entry = entries.get(f"{folder}data/{key}")
                if entry is None or entry.file_size != _byte_size(kind, numel):
                    raise Malformed(f"lacks the data of storage {key!r}, or part of it")
                storages[key] = (kind, numel, StorageRecord(_elements(kind, bytearray(archive.read(entry)))))
            if storages[key][:2] != (kind, numel):
                raise Malformed(f"refers to storage {key!r} in two ways")
            return storages[key][2]

        with archive.open(pickles[0]) as file:
            return _Unpickler(file, open_storage).load()


def _read_legacy(file: BinaryIO, file_size: int) -> Any:
    """The format before torch 1.6: some pickles after one another, then the storages."""
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise Malformed("is not a checkpoint")
    if _Unpickler(file).load() != _LEGACY_VERSION:
        raise Malformed("is a checkpoint of an unknown version")
    system = _Unpickler(file).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Malformed("was saved on a big-endian machine, which is not supported")
    storages: Dict[str, Tuple[str, int, StorageRecord, bytearray]] = {}
    claimed = 0

    def open_storage(kind: str, key: str, numel: int) -> StorageRecord:
        nonlocal claimed
        if key not in storages:
            claimed += _byte_size(kind, numel)
            if claimed > file_size:
                raise Malformed("is truncated")
            data = bytearray(_byte_size(kind, numel))
            storages[key] = (kind, numel, StorageRecord(_elements(kind, data)), data)
        if storages[key][:2] != (kind, numel):
            raise Malformed(f"refers to storage {key!r} in two ways")
        return storages[key][2]

    content = _Unpickler(file, open_storage).load()
    keys = _Unpickler(file).load()
    if not isinstance(keys, list) or any(type(key) is not str for key in keys) or set(keys) != set(storages):
        raise Malformed("lacks the data of some storages")
    for key in keys:
        _, numel, _, data = storages[key]
        length = file.read(8)
        if len(length) != 8 or struct.unpack("<q", length)[0] != numel:
            raise Malformed(f"lacks the data of storage {key!r}, or part of it")
        if file.readinto(memoryview(data)) != len(data):
            raise Malformed("is truncated")
    return content


def read_restricted(path: str) -> Any:
    """What a file of either format holds, with records for tensors and numpy values.

    Raises:
        RefusedGlobal: the file names something that is not in the table.
        Malformed: it holds what no `torch.save` writes. A damaged file can fail in other ways too.
    """
    if is_archive(path):
        return _read_zip(path)
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        return _read_legacy(file, size)
