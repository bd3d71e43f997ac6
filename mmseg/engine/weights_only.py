"""Read a checkpoint without executing anything that the file asks for.

A checkpoint is a pickle, and a pickle may name any function to be called when it is opened. Current torch has an
unpickler that refuses all but weights; where it is sound it is used, else `mmseg.engine.restricted_reader`. Before
either comes `mmseg.engine.checkpoint_limits` with the names and instructions that weights need, so that every torch
accepts and refuses the same files.
"""

import collections
import os
import re
from typing import Any, Dict, List, Optional, Set, Tuple

import torch

from mmseg import torch_compat
from mmseg.engine.checkpoint_limits import MAX_DEPTH, check_file
from mmseg.engine.checkpoint_records import (
    NUMPY_NAMES,
    ArrayRecord,
    Malformed,
    RefusedGlobal,
    ScalarRecord,
    TensorRecord,
)
from mmseg.engine.restricted_reader import NAMED, Named, read_restricted
from mmseg.errors import CheckpointError

MAX_VALUES = 5_000_000
MAX_REPEATED = 1 << 24  # elements of a tensor that repeats its data, as `expand` makes them
_MAX_SHOWN = 300


class _Plain:
    """Copies what a reader made: tensors, numpy arrays and plain values in place of its records.

    Args:
        max_bytes: of all numpy values together; those of the file they come from.
    """

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes
        self._done: Dict[int, Tuple[Any, int]] = {}  # id → the copy, and how many values it has written out
        self._open: Set[int] = set()
        self._keep: List[Any] = []  # so that no id is used again
        self._count = 0

    def copy(self, value: Any, depth: int = 0) -> Any:
        """The copy of `value`; what is shared stays shared, yet counts each time, as whoever walks it counts it."""
        self._count += 1
        if value is None or type(value) in (bool, int, float, complex, str, bytes):
            return value
        if id(value) in self._open:
            raise Malformed("holds a value that contains itself")
        if id(value) in self._done:
            result, size = self._done[id(value)]
            self._count += size
        else:
            self._keep.append(value)
            self._open.add(id(value))
            before = self._count
            result = self._new(value, depth + 1)
            self._open.discard(id(value))
            self._done[id(value)] = (result, self._count - before)
        if self._count > MAX_VALUES:
            raise Malformed(f"holds more than {MAX_VALUES} values, those that are referred to counted each time")
        return result

    def _new(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Malformed(f"holds values that are nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, torch.Tensor):
            return _within_its_data(value.detach())
        if isinstance(value, TensorRecord):
            return _within_its_data(value.tensor())
        if isinstance(value, ScalarRecord):
            scalar = value.value()
            self._spend_bytes(len(value.data))
            return scalar
        if isinstance(value, ArrayRecord):
            array = value.array()
            self._spend_bytes(array.nbytes)
            return array
        if isinstance(value, dict):
            # By dict itself, because a file may hide the methods of an OrderedDict behind values of its own.
            items = dict.items(value)
            pairs = ((self.copy(key, depth), self.copy(item, depth)) for key, item in items)
            return collections.OrderedDict(pairs) if isinstance(value, collections.OrderedDict) else dict(pairs)
        if isinstance(value, list):
            return [self.copy(item, depth) for item in value]
        if type(value) in (tuple, set, frozenset, torch.Size):
            kind = tuple if isinstance(value, tuple) else type(value)
            return kind(self.copy(item, depth) for item in value)
        raise RefusedGlobal(
            value.name if isinstance(value, Named) else f"{type(value).__module__}.{type(value).__name__}"
        )

    def _spend_bytes(self, count: int) -> None:
        """Many numpy values may refer to the same bytes, yet each becomes a copy of them."""
        self._free_bytes -= count
        if self._free_bytes < 0:
            raise Malformed("holds numpy values that are larger than itself")


def _within_its_data(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor. Raises Malformed for a large one whose elements are the same few ones again and again."""
    span = 1 + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.stride()))
    count = 1
    for side in tensor.shape:
        count *= side
    if count > max(span, MAX_REPEATED):
        raise Malformed("holds a tensor that is larger than its data")
    return tensor


def _refused_by_torch(message: str) -> Optional[str]:
    """The name that torch's weights-only unpickler refused, out of its message."""
    found = re.search(r"GLOBAL (\S+)", message) or re.search(r"for unrecognized function (.+)", message)
    return found.group(1) if found else None


def read_weights_only(path: str, own_reader: Optional[bool] = None) -> Any:
    """What a file written by `torch.save` holds: tensors (on the CPU), numpy arrays of numbers, and plain Python
    values.

    Args:
        path: the file; it exists.
        own_reader: read by this module instead of torch; None is wherever torch has nothing sound.

    Raises:
        CheckpointError: the file is damaged, no checkpoint, or names anything that could be executed.
    """
    if own_reader is None:
        own_reader = not torch_compat.HAS_SOUND_WEIGHTS_ONLY
    try:
        check_file(path, NAMED)
        content = read_restricted(path) if own_reader else torch_compat.load_weights_only(path, NUMPY_NAMES)
        return _Plain(os.path.getsize(path)).copy(content)
    except RefusedGlobal as error:
        raise _refused(path, error.name) from error
    except Malformed as error:
        raise CheckpointError(f"{path} {str(error)[:_MAX_SHOWN]}") from error
    except Exception as error:  # a damaged pickle fails in every way there is
        name = None if own_reader else _refused_by_torch(str(error))
        if name is not None:
            raise _refused(path, name) from error
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is damaged, truncated or not a checkpoint: {reason}") from error


def _refused(path: str, name: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is refused: it asks for {name[:_MAX_SHOWN]}, and a checkpoint may hold weights, numbers and text only"
    )
