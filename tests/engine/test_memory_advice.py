import resource
import subprocess
import sys

import pytest
import torch

from mmseg.engine.memory_advice import memory_advice
from mmseg.errors import OutOfMemoryError
from mmseg.torch_compat import is_out_of_memory
from tests.engine.test_trainer import make_trainer
from ymir.errors import ReturnCode, describe

CROPS = dict(device="cuda", samples=8, size=(512, 1024), option="crop_size")


def failing(error, **changes):
    with pytest.raises(OutOfMemoryError) as caught, memory_advice(**{**CROPS, **changes}):
        raise error
    return str(caught.value)


def test_the_advice():
    assert failing(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")) == (
        "out of GPU memory with samples_per_gpu 8 and crops of 1024x512: samples_per_gpu 4, or crop_size 724x362 "
        "(half the pixels), would need about half"
    )
    single = failing(MemoryError(), device="cpu", samples=1, option="image_size")
    assert single == (
        "out of memory with samples_per_gpu 1 and images of 1024x512: image_size 724x362 (half the pixels), would need "
        "about half"
    )
    assert failing(OutOfMemoryError("said already")) == "said already"


def test_other_errors_stay():
    with pytest.raises(RuntimeError, match="shape"), memory_advice(**CROPS):
        raise RuntimeError("shape mismatch")
    assert not is_out_of_memory(ValueError("out of memory"))


class TooLarge(torch.nn.Module):
    """Asks for more memory than any machine has."""

    def forward(self, image):
        return torch.empty(2**50)


def test_a_training_that_runs_out_of_memory(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer._model.backbone.conv2 = TooLarge()
    with pytest.raises(OutOfMemoryError) as caught:
        trainer.run()
    failure = describe(caught.value)
    assert failure.return_code == ReturnCode.OUT_OF_MEMORY == 300103
    assert failure.sentence.startswith("out of memory with samples_per_gpu 2 and crops of 16x16: samples_per_gpu 1, or")


LIMITED = """
import resource
import torch
from mmseg.engine.memory_advice import memory_advice
with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
with memory_advice(device="cpu", samples=4, size=(8192, 8192), option="crop_size"):
    kept = [torch.zeros(4, 3, 8192, 8192) for _ in range(4)]
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit of the address space")
def test_a_process_without_enough_memory():
    done = subprocess.run([sys.executable, "-c", LIMITED], stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 1
    assert b"OutOfMemoryError: out of memory with samples_per_gpu 4 and crops of 8192x8192" in done.stderr
