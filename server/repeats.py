"""What callers can make happen as often as they like is logged at a bounded rate: once, then a count now and then."""

import secrets
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

EVERY_S = 10.0
"""A kind of record is written once in so long."""
MAX_KINDS = 256
"""That are remembered; whoever makes up more of them begins anew."""


@dataclass(frozen=True)
class Noted:
    """What becomes of a record."""

    written: bool
    error_id: str
    """Of the record of its kind that was written last, which is this one where it is."""
    left_out: int
    """Records of its kind that were not written since the one before."""

    @property
    def left_out_in_words(self) -> str:
        """For the end of a message; empty where none were."""
        return f"; {self.left_out:,} more like it were left out here" if self.left_out else ""


class Repeats:
    """Knows the kinds of late. Its methods may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, tuple[float, str, int]] = {}

    def note(self, kind: Hashable) -> Noted:
        """Whether a record of this kind is written now."""
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
        """All kinds."""
        self._kinds.clear()
