"""Checkpoints for others: only what a prediction needs, with a name that says what the file holds."""

import hashlib
import os
from pathlib import Path
from typing import Union

import torch

from mmseg.engine.checkpoint import load_checkpoint
from mmseg.errors import CheckpointError

PathLike = Union[str, "os.PathLike[str]"]


def publish_checkpoint(checkpoint: PathLike, out: PathLike) -> Path:
    """Write the weights and the meta data of a checkpoint, without the state of its optimizer.

    Args:
        checkpoint: the file; nothing in it is executed.
        out: the new file's name, to which the first eight digits of its SHA-256 are added: out.pth becomes
            out-1a2b3c4d.pth, as model zoos name theirs, and loaders check them.

    Returns:
        The new file.

    Raises:
        CheckpointError: the checkpoint cannot be read or the new file cannot be written.
    """
    content = load_checkpoint(checkpoint)
    out = Path(out)
    stem = out.with_suffix("") if out.suffix == ".pth" else out
    beside = stem.with_name(f".{stem.name}.{os.getpid()}.tmp")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            torch.save({"meta": content["meta"], "state_dict": content["state_dict"]}, file)
        digest = hashlib.sha256(beside.read_bytes()).hexdigest()
        path = stem.with_name(f"{stem.name}-{digest[:8]}.pth")
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise CheckpointError(f"the checkpoint {stem}-….pth cannot be written: {error}") from error
    finally:
        if beside.exists():
            beside.unlink()
    return path
