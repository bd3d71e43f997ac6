import errno
import io
import os

import pytest
import torch

from mmseg.engine.steady_file import SteadyFile


def test_what_is_written_is_a_checkpoint(tmp_path):
    with open(tmp_path / "a.pth", "wb") as stream:
        file = SteadyFile(stream)
        torch.save({"w": torch.arange(5)}, file)
        file.finish()
    assert torch.load(str(tmp_path / "a.pth"))["w"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_full_disk_is_the_error_that_it_is(buffering, size):
    stream = open("/dev/full", "wb", buffering=buffering)  # noqa: SIM115 - closing is what fails
    file = SteadyFile(stream)
    torch.save({"w": torch.zeros(size)}, file)
    with pytest.raises(OSError) as caught:
        file.finish()
    assert caught.value.errno == errno.ENOSPC
    # Closing tries once more to write what is buffered.
    with pytest.raises(OSError) if buffering else open(os.devnull):
        stream.close()


def test_after_an_error_nothing_more_is_written():
    class Once(io.RawIOBase):
        tries = 0

        def writable(self):
            return True

        def write(self, data):
            self.tries += 1
            raise OSError(errno.EIO, "Input/output error")

    stream = Once()
    file = SteadyFile(stream)
    assert [file.write(b"abc"), file.write(memoryview(b"de"))] == [3, 2]
    assert stream.tries == 1
    with pytest.raises(OSError, match="Input/output error"):
        file.finish()
