"""A graph in two sessions: one has all threads for a run that is alone, the other fewer for runs beside others.

Several threads finish one run sooner; runs beside each other, of one thread each, answer more images in all, because no
thread waits for another.
"""

import itertools
import threading
from collections.abc import Sequence

import numpy as np

from vouch.server.model.session import Outputs, Session


class Sessions:
    """As `Session`. Runs are told apart by whether others are at work when they begin."""

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
        """The same on either session in turn, so that each answers about half of what is counted."""
        return next(self._turns).run(parts)
