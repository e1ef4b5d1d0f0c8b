"""Messages that have begun to arrive: how long that may take, and that their bytes are taken from the budget.

Whoever sends most of a message and then nothing more costs memory for as long as it likes; so every piece counts,
before the services see anything of it.
"""

import asyncio
from types import TracebackType

from vouch.server.budget import Hold
from vouch.server.errors import DeadlineExpired, DomainError

WHOLE_WITHIN_S = 120.0
"""For a message, from its first piece on: 64 MiB come at 4.5 megabits a second."""
PIECE_BYTES = 64
"""What a piece takes beside its content."""
MOST_REFUSED = 4
"""Younger messages that are refused for a piece of an older one."""
LOOKS = 20
"""In that time, how often the late ones are looked for. A timer for each message would take 7 of the 100 microseconds
that a call with 25 KB takes."""


class Arriving:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._unfinished: dict[Arrival, None] = {}
        """The oldest first."""
        self._looking = False

    def message(self, hold: Hold) -> "Arrival":
        """Around the arrival of one, within the task that waits for it.

        Args:
            hold: what its pieces are taken into; they stay there if it becomes whole.

        Raises:
            DeadlineExpired: it takes too long.
        """
        return Arrival(self, hold)

    def begin(self, arrival: "Arrival") -> None:
        """It is looked after from now on."""
        self._unfinished[arrival] = None
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(WHOLE_WITHIN_S / LOOKS, self._look)

    def end(self, arrival: "Arrival") -> None:
        """It is whole, or has failed."""
        self._unfinished.pop(arrival, None)

    def youngest(self) -> "Arrival | None":
        """Of all that are not whole."""
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
        """Of its pieces, as they are taken into the hold."""

    def __enter__(self) -> "Arrival":
        self._task = asyncio.current_task()
        self.began_s = asyncio.get_running_loop().time()
        self._arriving.begin(self)
        return self

    def came(self, count: int) -> None:
        """Another piece of so many bytes; it takes some of its own too.

        Where there is no room, messages that began later are refused: of those that come together some become whole.

        Raises:
            Overloaded, InvalidRequest: the budget has no room for it even so.
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
        self._end(DeadlineExpired(f"the request was not whole within {WHOLE_WITHIN_S:.0f} s"))

    def refuse(self) -> None:
        """Gives its bytes to an older one."""
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
            finally:  # the error leads back here: a circle, which would keep the pieces until garbage is collected
                del why, error
