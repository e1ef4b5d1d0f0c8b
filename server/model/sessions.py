"""A graph in two sessions: one has all threads, for a single run; the other has fewer, for concurrent runs.

Several threads finish one run sooner. Concurrent runs of one thread each answer more images in total, because no thread
waits for another.
"""

import itertools
import threading
from collections.abc import Sequence

import numpy as np

from vouch.server.model.session import Outputs, Session


class Sessions:
    """Like `Session`. The session of a run depends on whether another run is in progress when it begins."""

    def __init__(self, alone: Session, beside: Session) -> None:
        self.alone, self.beside = alone, beside
        self._lock = threading.Lock()
        self._running = 0
        self._turns = itertools.cycle((alone, beside))

    def run(self, parts: Sequence[np.ndarray]) -> Outputs:
        """As `Session.run`."""
        with self._lock:
            session = self.beside if self._running else self.alone
            self._running += 1
        try:
            return session.run(parts)
        finally:
            with self._lock:
                self._running -= 1

    def run_in_turn(self, parts: Sequence[np.ndarray]) -> Outputs:
        """The same, alternating between the sessions, so that each answers about half of the recounted images."""
        return next(self._turns).run(parts)
