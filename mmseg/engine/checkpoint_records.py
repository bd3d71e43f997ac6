"""What the pickle of a checkpoint may hold beside plain values: inert records of numpy values and of tensors.

Making a record runs nothing. Only when one is turned into an array or a tensor is it looked at, and every size checked.
"""

import pickle
import re
from typing import Any, Callable, Dict, NamedTuple, Tuple

import numpy as np
import torch


class RefusedGlobal(pickle.UnpicklingError):
    """A file names something that is not on the list."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Malformed(pickle.UnpicklingError):
    """A file holds what no `torch.save` writes. The text completes "the file …"."""


class DTypeRecord:
    """A pickled numpy dtype: its name, such as 'f8', and its byte order."""

    def __init__(self, name: str, align: bool = False, copy: bool = True) -> None:
        self.name = name
        self.byte_order = "="

    def __setstate__(self, state: Tuple[Any, ...]) -> None:
        self.byte_order = state[1]

    def dtype(self) -> np.dtype:
        """The dtype, for numbers, truth values and text. Raises Malformed for any other."""
        if not isinstance(self.name, str) or re.fullmatch(r"[biufcSU]\d{1,9}", self.name) is None:
            raise Malformed(f"holds a numpy value of dtype {self.name!r}, which is neither numbers nor text")
        if self.byte_order not in ("<", ">", "|", "="):
            raise Malformed(f"holds a numpy value of byte order {self.byte_order!r}")
        return np.dtype(self.name).newbyteorder(self.byte_order)


class ArrayRecord:
    """A pickled numpy array: (version, shape, dtype, whether in Fortran order, bytes)."""

    def __init__(self, *arguments: Any) -> None:
        self.state: Tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The array. Raises Malformed where it does not hold numbers or text of the size that its shape says."""
        if not isinstance(self.state, tuple) or len(self.state) != 5 or not isinstance(self.state[2], DTypeRecord):
            raise Malformed("holds an incomplete numpy array")
        _, shape, dtype, fortran, data = self.state
        kind = dtype.dtype()
        flat = np.frombuffer(as_bytes(data), dtype=kind)
        return flat.reshape(shape, order="F" if fortran else "C").copy()


class ScalarRecord:
    """A pickled numpy scalar: its dtype and its bytes."""

    def __init__(self, dtype: Any, data: Any = b"") -> None:
        self.dtype = dtype
        self.data = data

    def value(self) -> Any:
        """The scalar as a plain Python value."""
        if not isinstance(self.dtype, DTypeRecord):
            raise Malformed("holds a numpy scalar without a dtype")
        kind = self.dtype.dtype()
        data = np.frombuffer(as_bytes(self.data), dtype=kind)
        if data.size != 1:
            raise Malformed("holds a numpy scalar of the wrong size")
        return data[0].item()


def _reconstruct(*arguments: Any) -> ArrayRecord:
    """What numpy pickles as the call that makes an empty array, to be filled by its state."""
    return ArrayRecord()


def as_bytes(data: Any) -> bytes:
    """`data` itself. Raises Malformed where it is not bytes."""
    if not isinstance(data, bytes):
        raise Malformed("holds a numpy value without its bytes")
    return data


# What stands for each name that numpy's pickles use, in numpy 1 and 2.
NUMPY_NAMES: Dict[str, Callable[..., Any]] = {"numpy.dtype": DTypeRecord, "numpy.ndarray": ArrayRecord}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    NUMPY_NAMES[f"{_module}._reconstruct"] = _reconstruct
    NUMPY_NAMES[f"{_module}.scalar"] = ScalarRecord


class StorageRecord(NamedTuple):
    """The elements that tensors are views of."""

    elements: torch.Tensor


class TensorRecord(NamedTuple):
    """A view of a storage; sizes and strides are in elements."""

    storage: Any
    offset: Any
    size: Any
    stride: Any

    def tensor(self) -> torch.Tensor:
        """The tensor. Raises Malformed where it would reach over the end of its storage."""
        whole = [self.offset, *self.size, *self.stride]
        if not isinstance(self.storage, StorageRecord) or len(self.size) != len(self.stride):
            raise Malformed("holds an incomplete tensor")
        if any(type(number) is not int or number < 0 for number in whole):
            raise Malformed("holds a tensor of an impossible shape")
        elements = self.storage.elements
        last = self.offset + sum((side - 1) * step for side, step in zip(self.size, self.stride))
        if 0 not in self.size and last >= elements.numel():
            raise Malformed("holds a tensor that is larger than its data")
        return elements.as_strided(tuple(self.size), tuple(self.stride), self.offset)
