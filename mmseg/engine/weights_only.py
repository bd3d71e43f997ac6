"""Read a checkpoint without executing anything that the file asks for.

A checkpoint is a pickle, and a pickle may name any function to be called when it is opened. Current torch has an
unpickler that refuses all but weights; where it is sound it is used, else `mmseg.engine.restricted_reader`, so that
every torch accepts and refuses the same files.
"""

import collections
import re
from typing import Any, Dict, List, Optional

import torch

from mmseg import torch_compat
from mmseg.engine.checkpoint_records import (
    NUMPY_NAMES,
    ArrayRecord,
    Malformed,
    RefusedGlobal,
    ScalarRecord,
    TensorRecord,
)
from mmseg.engine.restricted_reader import Named, read_restricted
from mmseg.errors import CheckpointError


def _plain(value: Any, done: Dict[int, Any], keep: List[Any]) -> Any:
    """Tensors, numpy arrays and plain Python values for the records in `value`. `done` keeps what is shared shared."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if id(value) in done:
        return done[id(value)]
    keep.append(value)
    result: Any
    if isinstance(value, torch.Tensor):
        result = value.detach()
    elif isinstance(value, TensorRecord):
        result = value.tensor()
    elif isinstance(value, ScalarRecord):
        result = value.value()
    elif isinstance(value, ArrayRecord):
        result = value.array()
    elif isinstance(value, dict):
        result = done[id(value)] = collections.OrderedDict() if isinstance(value, collections.OrderedDict) else {}
        for key in dict.keys(value):
            result[_plain(key, done, keep)] = _plain(dict.__getitem__(value, key), done, keep)
    elif isinstance(value, list):
        result = done[id(value)] = []
        result.extend(_plain(item, done, keep) for item in value)
    elif type(value) in (tuple, set, frozenset, torch.Size):
        kind = tuple if isinstance(value, tuple) else type(value)
        result = kind(_plain(item, done, keep) for item in value)
    elif isinstance(value, bytearray):
        result = bytes(value)
    else:
        raise RefusedGlobal(
            value.name if isinstance(value, Named) else f"{type(value).__module__}.{type(value).__name__}"
        )
    done[id(value)] = result
    return result


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
        content = read_restricted(path) if own_reader else torch_compat.load_weights_only(path, NUMPY_NAMES)
        return _plain(content, {}, [])
    except RefusedGlobal as error:
        raise _refused(path, error.name) from error
    except Malformed as error:
        raise CheckpointError(f"{path} {error}") from error
    except Exception as error:  # a damaged pickle fails in every way there is
        name = None if own_reader else _refused_by_torch(str(error))
        if name is not None:
            raise _refused(path, name) from error
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is damaged, truncated or not a checkpoint: {reason}") from error


def _refused(path: str, name: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is refused: it asks for {name}, and a checkpoint may hold weights, numbers and text only"
    )
