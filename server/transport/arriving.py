"""Messages that have begun to arrive: how long that may take, and how many bytes of them a process holds.

Whoever sends most of a message and then nothing more costs memory for as long as it likes; so this is bounded over all
callers, before the queues see anything of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vouch.server.errors import DeadlineExpired, Overloaded

WHOLE_WITHIN_S = 120.0
"""For a message, from its first piece on: 64 MiB come at 4.5 megabits a second."""


class Arriving:
    """Belongs to one event loop."""

    def __init__(self, max_bytes: int) -> None:
        """
        Args:
            max_bytes: of all messages that are not whole; one alone may have more.
        """
        self._max_bytes = max_bytes
        self.held_bytes = 0

    @asynccontextmanager
    async def message(self) -> AsyncIterator[Callable[[int], None]]:
        """Around the arrival of one; what it gives is told the bytes of each piece.

        Raises:
            Overloaded: with this piece there are too many bytes.
            DeadlineExpired: it takes too long.
        """
        held = 0

        def came(count: int) -> None:
            nonlocal held
            if held < self.held_bytes and self.held_bytes + count > self._max_bytes:
                raise Overloaded(f"{self.held_bytes:,} bytes of requests that are not whole wait for their rest")
            held += count
            self.held_bytes += count

        try:
            async with asyncio.timeout(WHOLE_WITHIN_S):
                yield came
        except TimeoutError as err:
            raise DeadlineExpired(f"the request was not whole within {WHOLE_WITHIN_S:.0f} s") from err
        finally:
            self.held_bytes -= held
