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
