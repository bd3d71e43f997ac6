"""Return codes of the platform, and the one place that turns any exception into a code and a sentence."""

import errno
import traceback
from dataclasses import dataclass
from enum import IntEnum

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


def return_code_of(error: BaseException) -> ReturnCode:
    """The return code for `error`, whoever raised it."""
    if isinstance(error, TaskError):
        return error.return_code
    for kind, code in _CODES_OF_MMSEG:
        if isinstance(error, kind):
            return code
    if isinstance(error, RuntimeError):
        # torch reports memory and device trouble as RuntimeError; only newer versions have a class for the first.
        text = str(error).lower()
        if "out of memory" in text or "can't allocate memory" in text:
            return ReturnCode.OUT_OF_MEMORY
        if "cuda" in text or "cudnn" in text or "nccl" in text:
            return ReturnCode.CUDA
    return ReturnCode.OTHER


def describe(error: BaseException) -> Failure:
    """The record of `error` for monitor.txt: what was raised on purpose speaks for itself, the rest is named by its
    type."""
    code = return_code_of(error)
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        sentence = f"no space left on the device while writing {error.filename or 'the results'}"
    elif code is ReturnCode.OTHER or not text:
        sentence = f"{type(error).__name__}: {text}" if text else type(error).__name__
    else:
        sentence = text
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(return_code=int(code), sentence=sentence, details=details)
