"""Return codes of the platform, and the one place that turns any exception into a code and a sentence."""

import errno
import os
import traceback
from dataclasses import dataclass
from enum import IntEnum
from typing import Optional

from mmseg.errors import CheckpointError, ConfigError, DataError, ImageError, NonFiniteLossError


class ReturnCode(IntEnum):
    """What monitor.txt says went wrong; the platform shows it to the user."""

    CONFIG = 300001
    DATASET = 300002
    IMAGE = 300003
    MODEL = 300004
    CUDA = 300101
    NO_GPU = 300102
    OUT_OF_MEMORY = 300103
    NAN = 300201
    OTHER = 160004


class TaskError(Exception):
    """A task that cannot be carried out, with the return code that says why."""

    return_code = ReturnCode.OTHER


class ParameterError(TaskError):
    """env.yaml, config.yaml or one of the hyper-parameters is wrong."""

    return_code = ReturnCode.CONFIG


class DatasetError(TaskError):
    """An index file or an annotation file is wrong."""

    return_code = ReturnCode.DATASET


class PackageError(TaskError):
    """A model package is incomplete or does not fit the task."""

    return_code = ReturnCode.MODEL


class NoGPUError(TaskError):
    """gpu_id names a GPU that is not there."""

    return_code = ReturnCode.NO_GPU


class TaskStopped(TaskError):
    """A signal asked the task to end before it was done.

    Args:
        sentence: what was saved, and how the task goes on.
        signal_number: of the signal.
    """

    def __init__(self, sentence: str, signal_number: int) -> None:
        super().__init__(sentence, signal_number)
        self.signal_number = signal_number

    def __str__(self) -> str:
        return self.args[0]


# The first class that fits decides, so a subclass stands before its base.
_CODES_OF_MMSEG = (
    (ConfigError, ReturnCode.CONFIG),
    (ImageError, ReturnCode.IMAGE),
    (DataError, ReturnCode.DATASET),
    (CheckpointError, ReturnCode.MODEL),
    (NonFiniteLossError, ReturnCode.NAN),
    (MemoryError, ReturnCode.OUT_OF_MEMORY),
)


@dataclass(frozen=True)
class Failure:
    """One failure as monitor.txt records it: a code, one sentence, and the traceback."""

    return_code: int
    sentence: str
    details: str


# What a full disk is reported as, with and without quotas and limits on the size of a file.
_FULL = {
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file has reached the largest size that is allowed",
}

_MAX_SENTENCE = 2000

# What a folder is reported as that cannot be written, or is no folder.
_BARRED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


def return_code_of(error: BaseException) -> ReturnCode:
    """The return code for `error`, whoever raised it."""
    if isinstance(error, TaskError):
        return error.return_code
    for kind, code in _CODES_OF_MMSEG:
        if isinstance(error, kind):
            return code
    if isinstance(error, RuntimeError) or type(error).__module__ == "cv2":
        # torch reports memory and device trouble as RuntimeError; only newer versions have a class for the first.
        # OpenCV has one error for everything.
        text = str(error).lower()
        if any(words in text for words in ("out of memory", "can't allocate memory", "insufficient memory")):
            return ReturnCode.OUT_OF_MEMORY
        if "cuda" in text or "cudnn" in text or "nccl" in text:
            return ReturnCode.CUDA
    return ReturnCode.OTHER


def describe(error: BaseException) -> Failure:
    """The record of `error` for monitor.txt: what was raised on purpose speaks for itself, the rest is named by its
    type."""
    code = return_code_of(error)
    text = " ".join(str(error).split())
    full = _full_disk(error)
    if full is not None:
        # Whoever was writing: that there is no room is no fault of a model or a data set.
        code = ReturnCode.OTHER
        sentence = f"{_FULL[full.errno]} while writing {full.filename or 'the results'}"
        sentence += "" if full is error else f": {text}"
    elif isinstance(error, OSError) and error.errno in _BARRED and error.filename:
        # What exists is in the way of a folder that is to be made.
        reason = os.strerror(errno.ENOTDIR) if error.errno == errno.EEXIST else error.strerror
        sentence = f"cannot use {error.filename}: {reason}"
    elif not text or (code is ReturnCode.OTHER and not isinstance(error, TaskError)):
        sentence = f"{type(error).__name__}: {text}" if text else type(error).__name__
    else:
        sentence = text
    sentence = printable(sentence)
    if len(sentence) > _MAX_SENTENCE:  # it may quote a file
        sentence = f"{sentence[:_MAX_SENTENCE]}…"
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(return_code=int(code), sentence=sentence, details=printable(details))


def printable(text: str) -> str:
    r"""`text` with all that is no character for people spelled out, so that what a file is called or holds can neither
    steer the terminal where it is shown nor keep it from being written; lines stay lines.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    return "".join(char if char.isprintable() or char in "\n\t" else repr(char)[1:-1] for char in text)


def _full_disk(error: BaseException) -> Optional[OSError]:
    """The full disk behind `error`, if that is what it is about; torch raises another error over it."""
    cause: Optional[BaseException] = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None
