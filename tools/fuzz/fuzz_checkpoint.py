"""Fuzz the reader of checkpoints with atheris (https://github.com/google/atheris, Python 3.11 or newer).

    pip install atheris
    python tools/fuzz/fuzz_checkpoint.py -max_total_time=300 -timeout=20 -rss_limit_mb=4096 -max_len=4096 CORPUS

CORPUS is a folder, which the first run fills with pickles of checkpoints. The first byte of an input says how the rest
is read: as the pickle of an archive, as the pickle of the older format, or as the whole file. Both readers read it, the
project's own and torch's. Whatever is raised but CheckpointError is a finding, and so is content that one of them takes
for weights and the other for something else, a run of more than 20 seconds or of more than 4 GiB, and any program that
is started or module that is imported.
"""

import codecs
import contextlib
import io
import os
import pickle
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, List, Tuple

import atheris

with atheris.instrument_imports(include=["mmseg.engine", "pickletools", "zipfile"]):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import torch

    from mmseg import torch_compat
    from mmseg.engine.checkpoint import load_checkpoint
    from mmseg.engine.weights_only import read_weights_only
    from mmseg.errors import CheckpointError

_FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.dlopen", "exec", "import")
_READERS = [True] + ([False] if torch_compat.HAS_SOUND_WEIGHTS_ONLY else [])
_HEAD = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
_PATH = Path(tempfile.mkdtemp()) / "model.pth"
_watching = False


def watch(event: str, arguments: Tuple[Any, ...]) -> None:
    """An audit hook: while a checkpoint is read, nothing is started, imported or executed."""
    known = event == "import" and str(arguments[0]).split(".")[0] in ("encodings", "torch")
    if _watching and event.startswith(_FORBIDDEN) and not known:
        raise SystemExit(f"reading a checkpoint did {event} {str(arguments)[:200]}")


def read_one(data: bytes) -> None:
    """One input."""
    global _watching
    kind, content = (data[0] % 3, data[1:]) if data else (0, b"")
    if kind == 0:
        with zipfile.ZipFile(str(_PATH), "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/byteorder", "little")
            archive.writestr("archive/version", "3\n")
            for key in range(3):
                archive.writestr(f"archive/data/{key}", bytes(16))
    else:
        _PATH.write_bytes(_HEAD + content if kind == 1 else content)
    found: List[Any] = []
    _watching = True
    try:
        for own_reader in _READERS:
            try:
                found.append(type(read_weights_only(str(_PATH), own_reader)))
            except CheckpointError:
                found.append(None)
        with contextlib.suppress(CheckpointError):
            load_checkpoint(_PATH)
    finally:
        _watching = False
    assert len({kind for kind in found if kind is not None}) <= 1, found


def first_inputs() -> List[bytes]:
    """Pickles that `torch.save` writes."""
    contents: List[Any] = [
        {"meta": {"CLASSES": ("a", "b"), "iter": 3}, "state_dict": {"w": torch.zeros(2, 2), "b": torch.zeros(4)}},
        {"model": {"w": torch.nn.Parameter(torch.ones(1))}, "x": {1, 2}, "c": 1j, "f": 0.5, "none": None},
        {"state_dict": {"h": torch.ones(2).half(), "l": torch.arange(2)}, "optimizer": {"state": {0: {"step": 1}}}},
    ]
    inputs = []
    for content in contents:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with zipfile.ZipFile(buffer) as archive:
            pickled = archive.read(next(entry for entry in archive.namelist() if entry.endswith("data.pkl")))
        inputs += [b"\x00" + pickled, b"\x02" + buffer.getvalue()]
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=False)
        inputs.append(b"\x02" + buffer.getvalue())
    return inputs


if __name__ == "__main__":
    # What is imported when it is first needed.
    for encoding in ("cp437", "raw_unicode_escape", "unicode_escape", "latin1", "ascii"):
        codecs.lookup(encoding)
    for first in first_inputs():
        read_one(first)
    for folder in [argument for argument in sys.argv[1:] if os.path.isdir(argument)][:1]:
        for number, first in enumerate(first_inputs()):
            (Path(folder) / f"first-{number}").write_bytes(first)
    sys.addaudithook(watch)
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
