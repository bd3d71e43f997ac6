import errno
import os
import socket

import pytest

from mmseg.regular_files import open_regular


def test_a_file_is_opened_also_over_links(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as stream:
            assert stream.read() == b"content"


def test_what_may_never_end_is_refused(tmp_path):
    os.mkfifo(str(tmp_path / "pipe"))
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(OSError, match="no regular file") as caught:
            open_regular(path)
        assert str(caught.value.filename) == str(path)


def test_what_cannot_be_opened_is_told_as_python_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    with pytest.raises(OSError) as caught:
        open_regular("socket")
    assert caught.value.errno == errno.ENXIO
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone")
