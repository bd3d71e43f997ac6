import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmseg.torch_compat import TORCH_VERSION
from ymir.prediction.network import CompiledOrNot

ROOT = Path(__file__).resolve().parents[3]
WITHOUT_COMPILER = """
import logging, torch
from ymir.prediction.network import CompiledOrNot

logging.basicConfig(level=logging.WARNING)
function = CompiledOrNot(lambda image: image * 2)
print(function(torch.ones(2)).tolist(), function(torch.ones(3)).tolist())
"""


def twice(image):
    return image * 2


@pytest.mark.skipif(TORCH_VERSION >= (2, 0), reason="this torch can compile")
def test_a_torch_that_cannot_compile_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        function = CompiledOrNot(twice)
    assert "cannot compile" in caplog.text
    assert function(torch.ones(2)).tolist() == [2, 2]


@pytest.mark.skipif(TORCH_VERSION < (2, 0), reason="this torch cannot compile")
def test_where_the_compiler_is_missing_the_function_runs_as_it_is(tmp_path):
    # In a process of its own, because torch remembers the compiler and what it has compiled.
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER],
        cwd=str(ROOT),
        env={**os.environ, "CXX": "/nonexistent/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "[2.0, 2.0] [2.0, 2.0, 2.0]" in done.stdout
    assert done.stdout.count("torch.compile failed, so the network runs as it is") == 1


def test_what_is_wrong_with_the_input_is_raised():
    function = CompiledOrNot(lambda image: image.view(-1, 7))
    with pytest.raises(RuntimeError):
        function(torch.ones(2))
