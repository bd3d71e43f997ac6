"""Downloading a file over http(s): whole and with the published hash, or not at all."""

import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Optional

from mmseg.errors import CheckpointError

logger = logging.getLogger("mmseg")

_CHUNK = 1 << 20
# The first digits of the SHA-256 of a file, at the end of its published name.
_HASH = re.compile(r"-(?P<hash>[0-9a-f]{8,64})\.\w+$")
_DATE = re.compile(r"20\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])")


def published_hash(name: str) -> Optional[str]:
    """The first digits of the SHA-256 that the name of a published file ends in, if any (a date is none)."""
    found = _HASH.search(name)
    return None if found is None or _DATE.fullmatch(found.group("hash")) else found.group("hash")


def has_published_hash(path: Path) -> bool:
    """Whether the name of a file has a hash, and the file has that hash."""
    expected = published_hash(path.name)
    if expected is None:
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest().startswith(expected)


def download(url: str, path: Path, *, timeout: float = 30.0) -> Path:
    """Fetch `url` into the file `path`, whose folder exists. How far it is goes to the log.

    Args:
        timeout: seconds without any data after which it fails.

    Returns:
        `path`.

    Raises:
        CheckpointError: the address does not answer, the file is not complete, or it has another hash than its name
            says. Nothing is left then.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        digest = _fetch(url, beside, timeout)
        expected = published_hash(path.name)
        if expected is not None and not digest.startswith(expected):
            raise CheckpointError(
                f"{url} gave a file whose SHA-256 begins with {digest[: len(expected)]}, expected {expected}"
            )
        os.replace(beside, path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None)
        code = f"HTTP status {error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        raise CheckpointError(f"{url} cannot be downloaded ({code}{reason or error})") from error
    finally:
        if beside.exists():
            beside.unlink()
    return path


def _fetch(url: str, path: Path, timeout: float) -> str:
    """Write what `url` gives; returns its SHA-256."""
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("only http and https addresses are fetched")
    digest = hashlib.sha256()
    request = urllib.request.Request(url, headers={"User-Agent": "mmseg"})
    with urllib.request.urlopen(request, timeout=timeout) as response, open(path, "wb") as file:
        total = _content_length(response)
        logger.info("downloading %s%s", url, f" ({total / 1e6:.1f} MB)" if total is not None else "")
        done = tenths = 0
        for chunk in iter(lambda: response.read(_CHUNK), b""):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            if total and 10 * done // total > tenths:
                tenths = 10 * done // total
                logger.info("downloaded %d%% of %s", 10 * tenths, url)
    if total is not None and done != total:
        raise CheckpointError(f"{url} ended after {done} of {total} bytes")
    return digest.hexdigest()


def _content_length(response: Any) -> Optional[int]:
    text = response.headers.get("Content-Length") or ""
    return int(text) if text.isdigit() and not response.headers.get("Content-Encoding") else None
