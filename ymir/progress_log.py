"""Lines in the log that say how far a pass over the images is, how fast, and when it will be done."""

import logging
import time
from datetime import timedelta

_log = logging.getLogger(__name__)


class ProgressLog:
    """Logs at every tenth of the way, and at least once a minute.

    Args:
        what: what is counted, for the line.
        total: how many there are.
    """

    _SECONDS = 60.0

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._started = self._said = time.monotonic()
        self._tenth = 0

    def done(self, count: int) -> None:
        """Say that `count` of them are done."""
        now = time.monotonic()
        tenth = 10 * count // self._total
        if tenth == self._tenth and now - self._said < self._SECONDS:
            return
        self._tenth, self._said = tenth, now
        rate = count / max(now - self._started, 1e-6)
        left = timedelta(seconds=round((self._total - count) / rate))
        _log.info("%d of %d %s, %.1f a second, %s left", count, self._total, self._what, rate, left)
