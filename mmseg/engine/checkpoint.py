"""Checkpoints in the format of OpenMMLab: `{'meta', 'state_dict', 'optimizer', …}`, written by `torch.save`."""

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np
import torch
import torch.nn as nn

from mmseg.engine.steady_file import SteadyFile
from mmseg.engine.weights_only import read_weights_only
from mmseg.errors import CheckpointError

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class WeightsReport:
    """What became of the entries of a state_dict.

    loaded: names that the model now has from the file.
    missing: names of the model that the file lacks.
    unexpected: names in the file that the model lacks.
    mismatched: (name, shape in the file, shape in the model) where the shapes differ.
    """

    loaded: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)
    unexpected: List[str] = field(default_factory=list)
    mismatched: List[Tuple[str, Tuple[int, ...], Tuple[int, ...]]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every entry of the model came from the file."""
        return not self.missing and not self.mismatched

    def summary(self) -> str:
        """One sentence with the counts and some names of what did not fit."""
        parts = [f"{len(self.loaded)} entries loaded"]
        if self.missing:
            parts.append(f"{len(self.missing)} missing in the file ({_some(self.missing)})")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} not in the model ({_some(self.unexpected)})")
        if self.mismatched:
            shapes = [f"{name} {theirs} for {ours}" for name, theirs, ours in self.mismatched]
            parts.append(f"{len(self.mismatched)} of another shape ({_some(shapes)})")
        return "; ".join(parts)


def _some(names: List[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")


def load_checkpoint(path: PathLike, map_location: Union[str, torch.device] = "cpu") -> Dict[str, Any]:
    """Read a checkpoint. Nothing in the file is executed, see `mmseg.engine.weights_only`.

    A bare state_dict, `{'state_dict': …}` and `{'model': …}` are accepted; the prefix `module.` of a parallel model
    is dropped.

    Returns:
        The file's entries, with `state_dict` (names to tensors) and `meta` (empty where the file has none) always
        there.

    Raises:
        CheckpointError: the file is missing, damaged, no checkpoint, or holds anything but weights, numbers and text.
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise CheckpointError(f"there is no checkpoint {path}")
    if not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no regular file"
        raise CheckpointError(f"{path} is {kind}, expected a checkpoint file")
    try:
        empty = os.path.getsize(path) == 0
        with open(path, "rb"):
            pass
    except OSError as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read: {error.strerror}") from error
    if empty:
        raise CheckpointError(f"the checkpoint {path} is empty")
    content = read_weights_only(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, expected a state_dict or a dict that has one")
    checkpoint, weights = _split(content)
    device = torch.device(map_location)
    checkpoint["state_dict"] = _checked_state_dict(path, weights, device)
    if not isinstance(checkpoint.setdefault("meta", {}), dict):
        raise CheckpointError(f"{path} has a {type(checkpoint['meta']).__name__} as 'meta', expected a dict")
    _check_classes(path, checkpoint["meta"].get("CLASSES"))
    for name, value in checkpoint.items():
        if name != "state_dict":
            checkpoint[name] = _to_device(value, device)
    return checkpoint


def _split(content: Dict[Any, Any]) -> Tuple[Dict[str, Any], Any]:
    """The entries beside the weights, and the weights."""
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), dict):
            return {name: value for name, value in content.items() if name != key}, content[key]
    return {}, content


def _checked_state_dict(path: str, weights: Dict[Any, Any], device: torch.device) -> "OrderedDict[str, torch.Tensor]":
    if not weights:
        raise CheckpointError(f"{path} holds no weights")
    state_dict: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise CheckpointError(
                f"{path} is not a checkpoint: its entry {name!r:.200} is a {type(value).__name__}, expected a tensor"
            )
        state_dict[name[len("module.") :] if name.startswith("module.") else name] = value.to(device)
    return state_dict


def _check_classes(path: str, classes: Any) -> None:
    """Names of classes are compared and shown, so they are text wherever they come from."""
    names = classes.tolist() if isinstance(classes, np.ndarray) else classes
    if names is None or (isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)):
        return
    raise CheckpointError(f"{path} has meta.CLASSES of the kind {type(classes).__name__}, expected a list of names")


def _to_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return type(value)((key, _to_device(item, device)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(_to_device(item, device) for item in value)
    return value


def save_checkpoint(
    path: PathLike,
    *,
    model: nn.Module,
    optimizer: Optional[torch.optim.Optimizer] = None,
    meta: Mapping[str, Any],
    extra: Optional[Mapping[str, Any]] = None,
) -> None:
    """Write a checkpoint, whole or not at all: beside its place first, then renamed.

    Args:
        path: the file; its folder exists.
        model: its state_dict is saved, on the CPU and contiguous; a parallel wrapper's own module is what counts.
        optimizer: its state_dict is saved too.
        meta: plain values, e.g. CLASSES, PALETTE, iter, config; numpy values become plain ones, paths text.
        extra: further entries of plain values and tensors, e.g. the state of a gradient scaler.

    Raises:
        CheckpointError: the file cannot be written, or a value is of a type that could not be read back.
    """
    path = os.fspath(path)
    inner = getattr(model, "module", None)
    weights = (inner if isinstance(inner, nn.Module) else model).state_dict()
    checkpoint: Dict[str, Any] = {
        "meta": _storable(dict(meta), "meta"),
        "state_dict": OrderedDict((name, value.detach().cpu().contiguous()) for name, value in weights.items()),
    }
    if optimizer is not None:
        checkpoint["optimizer"] = _storable(optimizer.state_dict(), "optimizer")
    for name, value in (extra or {}).items():
        if name in checkpoint:
            raise CheckpointError(
                f"the entry {name!r} of a checkpoint has its own argument, it cannot be given as extra"
            )
        checkpoint[name] = _storable(value, name)
    # Always the same name, so that what a killed process left is overwritten.
    beside = f"{path}.tmp"
    try:
        with open(beside, "wb") as file:
            steady = SteadyFile(file)
            torch.save(checkpoint, steady)
            steady.finish()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(f"the checkpoint {path} cannot be written: {error}") from error
    finally:
        if os.path.exists(beside):
            os.remove(beside)


def _storable(value: Any, where: str) -> Any:
    """`value` in types that weights-only unpickling knows; tensors on the CPU."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().contiguous()
    if isinstance(value, np.generic):
        return _storable(value.item(), where)
    if isinstance(value, np.ndarray):
        return _storable(value.tolist(), where)
    if isinstance(value, Mapping):
        return {_storable(key, where): _storable(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        kind = tuple if isinstance(value, tuple) else list
        return kind(_storable(item, f"{where}.{index}") for index, item in enumerate(value))
    if isinstance(value, (set, frozenset)):
        return {_storable(item, where) for item in value}
    if isinstance(value, PurePath):
        return str(value)
    for plain in (bool, int, float, str):  # members of an enum and the like
        if isinstance(value, plain):
            return plain(value)
    kind_name = f"{type(value).__module__}.{type(value).__name__}"
    raise CheckpointError(f"{where} of a checkpoint is a {kind_name}, expected plain values or tensors")


def load_weights(model: nn.Module, state_dict: Mapping[str, torch.Tensor], *, strict: bool = False) -> WeightsReport:
    """Copy the entries that fit into the model; those of another shape stay as they are.

    Args:
        strict: raise unless every entry of the model is there and fits, and there is no other.

    Returns:
        What was loaded and what was not. The batch counters of norm layers, which old files lack, do not count as
        missing.

    Raises:
        CheckpointError: no entry fits, or with `strict` some do not.
    """
    own = model.state_dict()
    fitting: Dict[str, torch.Tensor] = OrderedDict()
    unexpected, mismatched = [], []
    for name, value in state_dict.items():
        if name not in own:
            unexpected.append(name)
        elif own[name].shape != value.shape:
            mismatched.append((name, tuple(value.shape), tuple(own[name].shape)))
        else:
            fitting[name] = value
    missing = [name for name in own if name not in state_dict and not name.endswith("num_batches_tracked")]
    report = WeightsReport(list(fitting), missing, unexpected, mismatched)
    if not fitting:
        raise CheckpointError(f"none of the weights fits the model: {report.summary()}")
    if strict and (not report.complete or unexpected):
        raise CheckpointError(f"the weights do not fit the model: {report.summary()}")
    model.load_state_dict(fitting, strict=False)
    return report
