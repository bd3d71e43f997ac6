import contextlib
import signal
import subprocess
import sys

import pytest

from mmseg.termination import StopRequest, noted_signals, raise_on_signals
from tests.end_to_end.start import ROOT


def run(script):
    """A process that says a line when it is ready for signals."""
    return subprocess.Popen(
        [sys.executable, "-c", "import time\nfrom mmseg.termination import *\n" + script],
        cwd=str(ROOT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )


RAISING = """
raise_on_signals()
try:
    print("ready", flush=True)
    time.sleep(600)
except StopRequest as request:
    print(request, request.number)
"""

NOTING = """
raise_on_signals()
with noted_signals() as note:
    assert not note
    print("ready", flush=True)
    while not note:
        time.sleep(0.01)
    print("noted", note.request.signal_name, flush=True)
    input_ends = time.monotonic() + {more}
    while time.monotonic() < input_ends:
        time.sleep(0.01)
print("finished")
"""

WITH_A_CHILD = """
import multiprocessing
def wait():
    time.sleep(600)
child = multiprocessing.get_context("fork").Process(target=wait)
child.start()
print(child.pid, flush=True)
""" + NOTING.format(more=600)


# A destructor that runs when Python has given up its own handlers; it says so and waits for the end of its input.
ENDING = """
import os, sys
class Last:
    def __del__(self, write=os.write, read=os.read):
        write(1, b"ending\\n")
        read(0, 1)
raise_on_signals()
ignore_signals()
sys.last = Last()
"""


# A signal comes while a destructor runs, out of which Python lets no exception.
IN_A_DESTRUCTOR = """
import os
class Ending:
    def __del__(self):
        os.kill(os.getpid(), {number})
        time.sleep(0)
raise_on_signals()
try:
    ending = Ending()
    del ending
    print("over", flush=True)
    time.sleep(600)
except StopRequest as request:
    print(request)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_within_a_destructor_raises_after_it(number):
    process = run(IN_A_DESTRUCTOR.format(number=int(number)))
    assert process.communicate(timeout=60)[0] == f"over\nstopped by {number.name}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises(number):
    process = run(RAISING)
    process.stdout.readline()
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == f"stopped by {number.name} {int(number)}\n"
    assert process.returncode == 0


def test_a_noted_signal_lets_the_block_finish_also_when_it_comes_twice():
    process = run(NOTING.format(more=0.2))
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "noted SIGTERM\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "finished\n"
    assert process.returncode == 0


def test_a_later_one_ends_the_process_and_its_children():
    process = run(WITH_A_CHILD)
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "noted SIGTERM\n"
    # Again and again, until one is late enough to be another.
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    assert process.returncode == 128 + signal.SIGTERM
    # The pipe ends when the child, which has it too, is gone.
    assert process.stdout.read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_over_keeps_its_status(number):
    process = run(ENDING)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_handlers_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        raise_on_signals()
        raising = signal.getsignal(signal.SIGTERM)
        with noted_signals() as note:
            assert signal.getsignal(signal.SIGTERM) is not raising
        assert signal.getsignal(signal.SIGTERM) is raising and not note
        with pytest.raises(StopRequest):
            raising(signal.SIGTERM, None)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
