"""Ending in good order when a signal asks for it.

SIGTERM and SIGINT raise `StopRequest` in the main thread, or are only noted while a block asks for that. The same
signal often comes twice (a shell or a launcher tells the whole process group and then each process), so one within
`REPEAT_SECONDS` of the first counts as the same; a later one ends the process and its children at once.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from types import FrameType
from typing import Callable, Dict, Iterator, Optional

SIGNALS = (signal.SIGTERM, signal.SIGINT)
REPEAT_SECONDS = 2.0
_LATER_SECONDS = 0.1


class StopRequest(BaseException):
    """A signal asks this process to end; no Exception, so that no handler of errors takes it for one.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def signal_name(self) -> str:
        return signal.Signals(self.number).name

    def __str__(self) -> str:
        return f"stopped by {self.signal_name}"


class StopNote:
    """Whether a signal has come: `request` says which, and is None before."""

    def __init__(self) -> None:
        self.request: Optional[StopRequest] = None

    def __bool__(self) -> bool:
        return self.request is not None


def raise_on_signals() -> None:
    """From now on SIGTERM and SIGINT raise StopRequest in the main thread. Only there may this be called."""

    def stop(request: StopRequest) -> None:
        raise request

    _set({number: _handler(stop) for number in SIGNALS})


def ignore_signals() -> None:
    """From now on SIGTERM and SIGINT do nothing, so that a process whose work is over keeps its exit status."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def noted_signals() -> Iterator[StopNote]:
    """Within the block SIGTERM and SIGINT are only noted; after it they do what they did before, except that one that
    was noted is not raised any more. In a thread other than the main one nothing is noted."""
    note = StopNote()

    def take(request: StopRequest) -> None:
        note.request = request

    handler = _handler(take)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        _set(dict.fromkeys(SIGNALS, handler))
    except ValueError:  # not the main thread
        yield note
        return
    try:
        yield note
    finally:
        _set({number: handler if note else before[number] for number in SIGNALS})


def obey_parent_only() -> None:
    """For a process that works for its parent: a signal to end from anybody else is left to the parent, which gets it
    too where the whole group is told, finishes what it has begun, and then tells this one."""
    if not hasattr(signal, "sigwaitinfo"):  # not Linux
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_wait_for_parent, name="signals", daemon=True).start()


def _wait_for_parent() -> None:
    # Only who waits for a signal, and does not handle it, learns who has sent it.
    while signal.sigwaitinfo(SIGNALS).si_pid != os.getppid():
        pass
    os._exit(0)


def _handler(first: Callable[[StopRequest], None]) -> Callable[[int, Optional[FrameType]], None]:
    came: Dict[str, float] = {}

    def handle(number: int, frame: Optional[FrameType]) -> None:
        if _is_finalizing(frame):
            # Python drops what is raised there, so the signal comes again a little later.
            again = threading.Timer(_LATER_SECONDS, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        now = time.monotonic()
        if "first" not in came:
            came["first"] = now
            first(StopRequest(number))
        elif now - came["first"] > REPEAT_SECONDS and multiprocessing.parent_process() is None:
            # A process that another one started leaves this to that one.
            for child in multiprocessing.active_children():
                child.kill()
            os._exit(128 + number)

    return handle


def _is_finalizing(frame: Optional[FrameType]) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def _set(handlers: Dict[signal.Signals, Callable[[int, Optional[FrameType]], None]]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
