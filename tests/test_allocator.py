import platform
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from mmseg.allocator import keep_freed_memory
import torch


def resident():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) >> 10


if sys.argv[1] == "kept":
    assert keep_freed_memory()
before = resident()
for _ in range(3):
    torch.ones(1 << 26)
print(resident() - before)
"""


def kept_megabytes(how):
    """What is left of 256 MB that a process has taken and freed."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how],
        cwd=str(Path(__file__).resolve().parents[1]),
        stdout=subprocess.PIPE,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told so")
def test_memory_that_was_freed_is_kept():
    assert kept_megabytes("kept") > 200 > 100 > kept_megabytes("as it is")


# A sample is what Linux says about the memory in which the worker that makes it has a large array.
WORKER = """
import torch
from pathlib import Path
from mmseg.allocator import keep_freed_memory
from mmseg.datasets import build_test_loader


class Samples:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        # Not numpy's own, which asks for large pages where it can.
        array = torch.ones(1 << 28, dtype=torch.uint8)
        middle, inside, flags = array.data_ptr() + array.numel() // 2, False, None
        for line in Path("/proc/self/smaps").read_text().splitlines():
            first, _, rest = line.partition(" ")
            if "-" in first:
                start, end = (int(part, 16) for part in first.split("-"))
                inside = start <= middle < end
            elif inside and first == "VmFlags:":
                flags = rest.split()
        return {"img": torch.zeros(1), "img_metas": {"flags": flags}}


keep_freed_memory()
(((batch,),),) = [build_test_loader(Samples(), samples_per_gpu=1, workers_per_gpu=1)]
print(*batch.metas[0][0]["flags"])
"""
MODES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not MODES.exists() or platform.libc_ver()[0] != "glibc", reason="no such pages here")
def test_a_worker_takes_large_pages():
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run([sys.executable, "-c", WORKER], cwd=root, stdout=subprocess.PIPE, check=True)
    assert "hg" in done.stdout.decode().split()
