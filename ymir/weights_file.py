"""Whether a file of weights is one at all, by its container. That takes no time, whatever its size."""

import zipfile
from pathlib import Path
from typing import BinaryIO

from mmseg.regular_files import open_regular
from ymir.errors import PackageError

# torch.save before version 1.6: a pickle of a number that marks the format. Files that pickle a state_dict itself, or
# a tar of the very first versions, are left to the reader of checkpoints.
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
_TAR_MAGIC_AT = 257
_TEXT = bytes(range(32, 127)) + b"\t\n\r"


def check_weights_file(path: Path, where: str) -> None:
    """Raise unless the file looks like what `torch.save` writes.

    Args:
        where: what names the file, for the message: "model_params_path names" and the like.

    Raises:
        PackageError: it is missing, a folder, empty, cannot be read, is a text, or a part of a file.
    """
    path = Path(path)
    try:
        with open_regular(path) as stream:
            head = stream.read(512)
            if not head:
                raise PackageError(f"{where} {path}, which is empty")
            if head.startswith(_ZIP_MAGIC):
                _check_zip(stream, path, where)
            elif not head.startswith(_PICKLE_MAGIC) and head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] != b"ustar":
                raise PackageError(f"{where} {path}, which {_description(head)}, not a checkpoint")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PackageError(f"{where} {path}, which is not a file") from error
    except IsADirectoryError as error:
        raise PackageError(f"{where} {path}, which is a folder") from error
    except OSError as error:
        raise PackageError(f"{where} {path}, which cannot be read: {error.strerror or error}") from error


def _check_zip(stream: BinaryIO, path: Path, where: str) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise PackageError(f"{where} {path}, which is damaged or truncated: {error}") from error
    if not any(name.endswith("data.pkl") for name in names):
        raise PackageError(f"{where} {path}, which is a zip archive of other things, not a checkpoint")


def _description(head: bytes) -> str:
    if head.lstrip()[:1] == b"<":
        return "is a web page"
    if not head.translate(None, _TEXT):
        return "is a text"
    return "begins like no file of weights"
