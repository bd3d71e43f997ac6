import errno

import cv2
import numpy as np
import pytest
import torch

from mmseg import errors as mmseg_errors
from ymir import errors
from ymir.errors import describe


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (errors.ParameterError("key is 1"), 300001, "key is 1"),
        (errors.DatasetError("a"), 300002, "a"),
        (errors.PackageError("a"), 300004, "a"),
        (errors.NoGPUError("a"), 300102, "a"),
        (mmseg_errors.ConfigError("a"), 300001, "a"),
        (mmseg_errors.DataError("a"), 300002, "a"),
        (mmseg_errors.ImageError("a\nb"), 300003, "a b"),
        (mmseg_errors.CheckpointError("a"), 300004, "a"),
        (mmseg_errors.NonFiniteLossError("a"), 300201, "a"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
            300103,
            "CUDA out of memory. Tried to allocate 2 GiB",
        ),
        (MemoryError(), 300103, "MemoryError"),
        (RuntimeError("CUDA error: no kernel image is available"), 300101, "CUDA error: no kernel image is available"),
        (RuntimeError("odd"), 160004, "RuntimeError: odd"),
        (KeyError("k"), 160004, "KeyError: 'k'"),
        (KeyboardInterrupt(), 160004, "KeyboardInterrupt"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/out/x"),
            160004,
            "no space left on the device while writing /out/x",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 160004, "the disk quota is used up while writing the results"),
        (
            OSError(errno.EFBIG, "File too large", "/out/x"),
            160004,
            "a file has reached the largest size that is allowed while writing /out/x",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/out/x"), 160004, "cannot use /out/x: Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "/out"), 160004, "cannot use /out: Read-only file system"),
        (FileExistsError(errno.EEXIST, "File exists", "/out"), 160004, "cannot use /out: Not a directory"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/o/x"), 160004, "cannot use /o/x: Not a directory"),
    ],
)
def test_every_exception_has_a_code_and_one_sentence(error, code, sentence):
    failure = describe(error)
    assert (failure.return_code, failure.sentence) == (code, sentence)


def test_a_real_shortage_of_memory_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55, dtype=torch.float64)
    assert describe(caught.value).return_code == 300103
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((1, 1), np.uint8), (2**28, 2**28))
    assert describe(caught.value).return_code == 300103


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\0\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\ud800", "\\ud800"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("图像 ö 😀 \\", "图像 ö 😀 \\"),
    ],
)
def test_what_is_no_character_for_people_is_spelled_out(text, shown):
    try:
        raise errors.PackageError(f"a{text}b\nc")
    except errors.PackageError as error:
        failure = describe(error)
    assert failure.sentence == f"a{shown}b c"
    assert f"a{shown}b\nc\n" in failure.details


def test_the_details_are_the_traceback():
    try:
        raise errors.DatasetError("no images") from ValueError("inner")
    except errors.DatasetError as error:
        details = describe(error).details
    assert "inner" in details
    assert details.rstrip().endswith("ymir.errors.DatasetError: no images")


def test_a_full_disk_is_recognised_behind_another_error():
    with pytest.raises(mmseg_errors.CheckpointError) as caught:
        try:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError:
                raise RuntimeError("unexpected pos 832 vs 726")  # noqa: B904 - as torch does it
        except RuntimeError as error:
            raise mmseg_errors.CheckpointError(f"the checkpoint x cannot be written: {error}") from error
    failure = describe(caught.value)
    assert failure.return_code == 160004
    assert failure.sentence.startswith("no space left on the device while writing the results: the checkpoint x cannot")


def test_an_error_that_was_dealt_with_is_not_looked_at():
    with pytest.raises(errors.DatasetError) as caught:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise errors.DatasetError("no images") from None
    assert describe(caught.value).sentence == "no images"
