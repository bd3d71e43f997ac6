"""The environment of the original packages: Python 3.8, torch 1.8.0, mmcv 1.6.1, mmsegmentation 0.27.0."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import List, Optional, Sequence

# mmcv's lite package needs no compiler; what it has no operators for is then measured with the stand-ins of mmcv_ops.
# numpy below 1.24 still has the aliases that some original modules use.
_FOUNDATION = ("setuptools==59.5.0", "wheel==0.45.1", "numpy==1.23.5", "pillow==10.4.0")
_PACKAGES = (
    "torch==1.8.0",
    "typing-extensions==4.13.2",
    "opencv-contrib-python-headless==4.14.0.94",
    "addict==2.4.0",
    "yapf==0.32.0",
    "packaging==26.2",
    "pyyaml==6.0.3",
    "prettytable==3.11.0",
    "matplotlib==3.7.5",
    "scipy==1.10.1",
)
_WITHOUT_DEPENDENCIES = ("torchvision==0.9.0", "mmsegmentation==0.27.0")


class EnvironmentFailure(Exception):
    """The environment cannot be made; the message is one sentence."""


def make_environment(folder: Path, *, full: bool = False, interpreter: Optional[str] = None) -> Path:
    """The interpreter of the environment in `folder`, which is made where it is missing.

    Args:
        full: with mmcv-full, whose operators are compiled for some minutes.
        interpreter: a Python 3.8; by default the one that is found.

    Raises:
        EnvironmentFailure: there is no Python 3.8, or pip cannot install a package.
    """
    python = folder / "bin" / "python"
    made_from = folder / ".made-from"
    mmcv = "mmcv-full==1.6.1" if full else "mmcv==1.6.1"
    pins = "\n".join([*_FOUNDATION, *_PACKAGES, mmcv, *_WITHOUT_DEPENDENCIES])
    if made_from.is_file() and made_from.read_text() == pins:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _run([interpreter or find_python38(), "-m", "venv", str(folder)])
    for options, packages in (
        ((), _FOUNDATION),
        ((), _PACKAGES),
        # Built in this environment, because its set-up script imports what is in it.
        (("--no-build-isolation", "--no-deps"), (mmcv,)),
        (("--no-deps",), _WITHOUT_DEPENDENCIES),
    ):
        _run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *options, *packages])
    made_from.write_text(pins)
    return python


def find_python38() -> str:
    """A Python 3.8 that runs: python3.8 of the path, or of pyenv. Raises EnvironmentFailure."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = ["python3.8", *(str(path) for path in sorted(pyenv.glob("3.8.*/bin/python")))]
    for candidate in candidates:
        found = shutil.which(candidate)
        if found and subprocess.run([found, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0:
            return found
    raise EnvironmentFailure("there is no Python 3.8 here, which torch 1.8.0 needs; name one with --interpreter")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        lines: List[str] = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise EnvironmentFailure(f"{' '.join(command)} failed: {lines[-1] if lines else 'without a message'}")
