"""A task on disk with the least that is needed, for tests of the parts of ymir."""

from pathlib import Path
from typing import Any, Dict, Optional, Sequence

import cv2
import numpy as np
import yaml

from ymir.task import Task, read_env, read_task


def write_env(folder: Path, *, config: Dict[str, Any], **flags: bool) -> Path:
    """env.yaml and config.yaml below `folder`; returns the path of env.yaml."""
    root_in, root_out = folder / "in", folder / "out"
    for directory in (root_in, root_out):
        directory.mkdir(parents=True, exist_ok=True)
    (root_in / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    env = {
        "task_id": "t01",
        "protocol_version": "1.1.0",
        **flags,
        "input": {"root_dir": str(root_in)},
        "output": {"root_dir": str(root_out)},
    }
    path = root_in / "env.yaml"
    path.write_text(yaml.safe_dump(env), encoding="utf-8")
    return path


def make_task(
    folder: Path, environment: Optional[Dict[str, str]] = None, *, config: Dict[str, Any], **flags: bool
) -> Task:
    """The task of such files."""
    return read_task(read_env(write_env(folder, config=config, **flags)), environment or {})


def write_image(path: Path, shape: Sequence[int] = (8, 10)) -> Path:
    """A picture of noise, the same for the same name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, (*shape, 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix or ".png", pixels)[1].tobytes())
    return path
