"""Failures of processes that only a launcher watches: each tells the others, and none waits for one that is gone."""

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from datetime import timedelta
from typing import NamedTuple, Optional, Tuple

import torch.distributed as dist

from mmseg.engine.group_place import GroupPlace

_LOOK_EVERY_SECONDS = 1.0
# For the main thread to end by itself, with its files closed.
_GRACE_SECONDS = 30.0


class ChildTraceback(Exception):
    """The traceback of an exception that was raised in another process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Failure(NamedTuple):
    """An exception of a process, when it was raised there, and its traceback."""

    time: float
    error: BaseException
    text: str


def describe_failure(error: BaseException, at: float) -> bytes:
    """The exception that is being handled as bytes for `read_failure`; one that does not pickle becomes a RuntimeError
    of the same text."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an exception of any library may fail to pickle in any way
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return pickle.dumps(Failure(at, error, text))


def read_failure(content: bytes) -> Failure:
    """What `describe_failure` wrote in a process of the same group."""
    return pickle.loads(content)


def is_lost_connection(error: BaseException) -> bool:
    """Whether a collective failed because another process is gone. That has no type of its own, and what it says names
    a line of gloo's or an error of NCCL's."""
    text = str(error) if isinstance(error, RuntimeError) else ""
    return ("gloo/transport" in text and "imed out" not in text) or "ncclRemoteError" in text


class GroupFailures:
    """The one failure that ends a group, kept in its store. A thread looks for it until `stop_watching`.

    When another process has failed, the main thread is interrupted. One that does not end for it, because it waits for
    the lost process inside a collective, ends with the whole process after half a minute.

    Attributes:
        has_interrupted: whether the main thread was interrupted for this, by a StopRequest.
        is_lost: whether the store was out of reach when this process had a failure to report: the process that keeps
            it is gone.
    """

    def __init__(self, place: GroupPlace) -> None:
        # A store serves one request at a time, and the group's own may be waiting in another.
        self._store = dist.PrefixStore(f"failures-{place.attempt}", _connect(place))
        self._watched = dist.PrefixStore(f"failures-{place.attempt}", _connect(place))
        self._done = threading.Event()
        self.has_interrupted = False
        self.is_lost = False
        self._thread = threading.Thread(target=self._watch, name="group failures", daemon=True)
        self._thread.start()

    def report(self, rank: int, error: BaseException) -> Optional[Tuple[BaseException, str]]:
        """Say that this process fails by `error`. Returns the exception and the traceback of the process that failed
        before it, None when it is the first or the store is out of reach."""
        self.stop_watching()
        try:
            if self._store.add("count", 1) == 1:
                self._store.set("first", describe_failure(error, time.time()))
                return None
            first = read_failure(self._store.get("first"))
        except RuntimeError:
            self.is_lost = True
            return None
        return first.error, first.text

    def stop_watching(self) -> None:
        """End the thread."""
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_EVERY_SECONDS):
            try:
                failed = self._watched.add("count", 0) > 0
            except RuntimeError:  # the process that keeps the store is gone
                failed = True
            if failed and not self._done.is_set():
                self.has_interrupted = True
                # To the main thread itself, so that it also wakes where it waits for the system.
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                if self._done.wait(_GRACE_SECONDS):
                    return
                with contextlib.suppress(OSError):
                    print("another process of the group has failed; this one ends", file=sys.stderr, flush=True)
                os._exit(1)


def _connect(place: GroupPlace) -> dist.TCPStore:
    return dist.TCPStore(place.address, place.port, -1, False, timeout=timedelta(minutes=5))
