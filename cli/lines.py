"""Progress as lines: an estimate at the beginning, then the progress from time to time.

Estimates are only shown; nothing depends on them.
"""

import time
from collections.abc import Callable

ESTIMATED_AFTER_S = 2.0
"""Time before the duration is estimated."""
WORTH_SAYING_S = 5.0
"""No estimate is shown if less time is left."""
LINE_EVERY_S = 10.0


class ProgressLines:
    """The lines about one piece of work."""

    def __init__(self, title: str, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            title: the work, such as "decoding images".
            total: the number of items; None if unknown.
        """
        self._title, self._total, self._clock = title, total, clock
        self._first: int | None = None
        """Items that were done at the beginning: not 0 if work is resumed."""
        self._began = self._said = clock()
        self._estimated = False
        self._done = 0

    def of(self, total: int) -> None:
        """Sets a new total."""
        self._total = total

    def tell(self, done: int, say: Callable[[str], None]) -> None:
        """Shows the estimate once, and a line every ten seconds."""
        self.estimate(done, say)
        now = self._clock()
        if now - self._said < LINE_EVERY_S:
            return
        self._said = now
        left = self._left_s(done)
        of = "" if self._total is None else f" of {self._total:,}"
        say(f"{self._title}: {done:,}{of}" + ("" if left is None else f", about {duration(left)} left"))

    def estimate(self, done: int, say: Callable[[str], None]) -> None:
        """Shows once how long the work takes, when that can be estimated and is long enough."""
        if self._first is None or done < self._done:  # work may restart
            self._first, self._began, self._estimated = done, self._clock(), False
        self._done = done
        if self._estimated or self._clock() - self._began < ESTIMATED_AFTER_S:
            return
        if (left := self._left_s(done)) is None:
            return
        self._estimated = True
        if left >= WORTH_SAYING_S:
            say(f"{self._title}: about {duration(self._clock() - self._began + left)} on this machine")

    def _left_s(self, done: int) -> float | None:
        if self._total is None or self._first is None or done <= self._first:
            return None
        return (self._clock() - self._began) * max(0, self._total - done) / (done - self._first)


def duration(seconds: float) -> str:
    """A duration in a suitable unit: 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
