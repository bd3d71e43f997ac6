"""A name for everything that decides a result, by which a task that is started again knows its own unfinished work."""

import hashlib
import json
from pathlib import Path
from typing import Any, Mapping

_CHUNK = 1 << 20


def fingerprint(parts: Mapping[str, Any]) -> str:
    """SHA-256, in 64 hexadecimal digits, over named parts; their order does not matter.

    Args:
        parts: a Path stands for the content of its file; bytes for themselves; anything else must be what JSON can
            express, with keys of mappings that are text.

    Raises:
        OSError: a file cannot be read.
        TypeError: a part is none of these.
    """
    total = hashlib.sha256()
    for name in sorted(parts):
        # Digests have one length, so no part can reach into its neighbour.
        total.update(hashlib.sha256(name.encode("utf-8")).digest())
        total.update(_digest(parts[name]))
    return total.hexdigest()


def _digest(part: Any) -> bytes:
    if isinstance(part, Path):
        return _digest_of_file(part)
    content = hashlib.sha256()
    if isinstance(part, bytes):
        content.update(b"bytes:")
        content.update(part)
    else:
        content.update(b"json:")
        content.update(json.dumps(part, sort_keys=True, separators=(",", ":")).encode("utf-8"))
    return content.digest()


def _digest_of_file(path: Path) -> bytes:
    content = hashlib.sha256(b"bytes:")
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            content.update(chunk)
    return content.digest()
