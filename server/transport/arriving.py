"""Messages that are arriving: limits their time, and takes their bytes from the budget.

A caller who sends most of a message and then nothing more would use memory without limit. So every piece counts before
the services see the message.
"""

import asyncio
from types import TracebackType

from vouch.server.budget import Hold
from vouch.server.errors import DeadlineExpired, DomainError

WHOLE_WITHIN_S = 120.0
"""Time limit of a message from its first piece on: 64 MiB need 4.5 megabits per second."""
PIECE_BYTES = 64
"""Memory of a piece in addition to its content."""
MOST_REFUSED = 4
"""Most younger messages that are refused to make room for a piece of an older one."""
LOOKS = 20
"""How often late messages are searched for in that time. A timer for each message would take 7 of the 100 microseconds
of a call with 25 KB."""


class Arriving:
    """The messages that are arriving. Belongs to one event loop."""

    def __init__(self) -> None:
        self._unfinished: dict[Arrival, None] = {}
        """The oldest first."""
        self._looking = False

    def message(self, hold: Hold) -> "Arrival":
        """A context manager for the arrival of one message, in the task that waits for it.

        Args:
            hold: takes the bytes of its pieces, and keeps them when it is complete.

        Raises:
            DeadlineExpired: it takes too long.
        """
        return Arrival(self, hold)

    def begin(self, arrival: "Arrival") -> None:
        """Starts to watch a message."""
        self._unfinished[arrival] = None
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(WHOLE_WITHIN_S / LOOKS, self._look)

    def end(self, arrival: "Arrival") -> None:
        """The message is complete, or has failed."""
        self._unfinished.pop(arrival, None)

    def youngest(self) -> "Arrival | None":
        """The youngest incomplete message."""
        return next(reversed(self._unfinished), None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for arrival in self._unfinished:
            if loop.time() - arrival.began_s < WHOLE_WITHIN_S:
                break
            arrival.expire()
        self._looking = bool(self._unfinished)
        if self._looking:
            loop.call_later(WHOLE_WITHIN_S / LOOKS, self._look)


class Arrival:
    """One message. Made by `Arriving.message`."""

    __slots__ = ("_arriving", "_ended_by", "_hold", "_task", "began_s", "held_bytes")

    def __init__(self, arriving: Arriving, hold: Hold) -> None:
        self._arriving = arriving
        self._hold = hold
        self._ended_by: DomainError | None = None
        self._task: asyncio.Task[object] | None = None
        self.began_s = 0.0
        self.held_bytes = 0
        """Bytes of its pieces in the hold."""

    def __enter__(self) -> "Arrival":
        self._task = asyncio.current_task()
        self.began_s = asyncio.get_running_loop().time()
        self._arriving.begin(self)
        return self

    def came(self, count: int) -> None:
        """Takes another piece of this size, and its overhead, from the budget.

        If there is no room, messages that began later are refused, so that at least some messages become complete.

        Raises:
            Overloaded, InvalidRequest: the budget still has no room for it.
        """
        size = count + PIECE_BYTES
        for _ in range(MOST_REFUSED):
            if self._hold.takes("received", size):
                break
            victim = self._arriving.youngest()
            if victim is None or victim is self:
                raise self._hold.refusal("received", size)
            victim.refuse()
        else:
            self._hold.take("received", size)
        self.held_bytes += size

    def expire(self) -> None:
        """Ends the wait for the rest."""
        self._end(DeadlineExpired(f"the request was not complete within {WHOLE_WITHIN_S:.0f} s"))

    def refuse(self) -> None:
        """Refuses this message to make room for an older one."""
        self._arriving.end(self)
        size, self.held_bytes = self.held_bytes, 0
        self._hold.give_back("received", size)
        self._end(self._hold.refusal("received", size))

    def _end(self, why: DomainError) -> None:
        if self._task is not None and self._ended_by is None:
            self._ended_by = why
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arriving.end(self)
        if self._ended_by is not None and isinstance(error, asyncio.CancelledError) and self._task is not None:
            self._task.uncancel()
            why, self._ended_by = self._ended_by, None
            try:
                raise why from error
            finally:  # the error refers to this frame: a cycle, which would keep the pieces until garbage collection
                del why, error
