"""Lines in the log that say how far a pass over the images is, how fast, and when it will be done."""

import logging
import time
from datetime import timedelta
from typing import Callable

_log = logging.getLogger(__name__)


class ProgressLog:
    """Logs at every tenth of the way, and at least once a minute.

    Args:
        what: what is counted, for the line.
        total: how many there are.
        before: how many of them were done before this pass began; they do not count for the speed.
        clock: the time in seconds.
    """

    _SECONDS = 60.0

    def __init__(self, what: str, total: int, before: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._total = total
        self._before = before
        self._clock = clock
        self._started = self._said = clock()
        self._tenth = 10 * before // total

    def done(self, count: int) -> None:
        """Say that `count` of them are done."""
        now = self._clock()
        tenth = 10 * count // self._total
        if tenth == self._tenth and now - self._said < self._SECONDS:
            return
        self._tenth, self._said = tenth, now
        rate = max(count - self._before, 1) / max(now - self._started, 1e-6)
        left = timedelta(seconds=round((self._total - count) / rate))
        _log.info("%d of %d %s, %.1f a second, %s left", count, self._total, self._what, rate, left)
