"""Limits the rate of log records that callers can cause: one in some seconds, with a count of those left out."""

import secrets
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

EVERY_S = 10.0
"""A kind of record is written at most once in this time."""
MAX_KINDS = 256
"""Most kinds that are remembered; with more, all are forgotten."""


@dataclass(frozen=True)
class Noted:
    """Whether a record is written, and its id."""

    written: bool
    error_id: str
    """Id of the last written record of its kind, which may be this one."""
    left_out: int
    """Number of records of its kind that were left out since the last written one."""

    @property
    def left_out_in_words(self) -> str:
        """For the end of a message; empty if none were left out."""
        return f"; {self.left_out:,} similar messages were left out" if self.left_out else ""


class Repeats:
    """Remembers recent kinds of records. Its methods may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, tuple[float, str, int]] = {}

    def note(self, kind: Hashable) -> Noted:
        """Notes a record of this kind; the result states whether to write it."""
        with self._lock:
            return self._note(kind, self._clock())

    def _note(self, kind: Hashable, now: float) -> Noted:
        since, error_id, left_out = self._kinds.get(kind, (-EVERY_S, "", 0))
        if error_id and now - since < EVERY_S:
            self._kinds[kind] = (since, error_id, left_out + 1)
            return Noted(False, error_id, 0)
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            self._kinds.clear()
        error_id = secrets.token_hex(4)
        self._kinds[kind] = (now, error_id, 0)
        return Noted(True, error_id, left_out)

    def forget(self) -> None:
        """Forgets all kinds."""
        self._kinds.clear()
