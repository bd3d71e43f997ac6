"""Running start.py as the platform does: a process of its own, told where env.yaml lies."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A finished run: its exit status, what it printed, and the fields of monitor.txt's record."""

    status: int
    output: str
    record: List[str]
    details: str


def run_start(env_file: Path, **environment: str) -> Run:
    """Run the task of an env.yaml to its end."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "start.py")],
        env={**os.environ, "DEFAULT_ENV_FILE_PATH": str(env_file), **environment},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )
    output = done.stdout.decode("utf-8", "replace")
    monitor = Path(env_file).parent / "out" / "monitor.txt"
    text = monitor.read_text(encoding="utf-8") if monitor.is_file() else ""
    first, _, details = text.partition("\n")
    return Run(done.returncode, output, first.split("\t"), details)
