"""The gate that calls pass: counts the calls in progress, and closes when the server drains.

Knows no transport. Every call passes it, except calls of methods that are answered until the end.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from vouch.server.errors import Closed

QUIET_S = 0.1
"""If no call arrives for this time, all callers know that the server drains."""
LINGER_S = 2.0


class Gate:
    """Open at the start. Belongs to one event loop."""

    def __init__(self) -> None:
        self.entered = 0
        """Number of calls that have passed it since the start."""
        self._left = 0
        self._closed = False
        self._turned_away = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._when_closing: set[Callable[[], None]] = set()

    def __enter__(self) -> None:
        """A call passes the gate. This is not a generator, because that would cost each call more time.

        Raises:
            Closed: the server drains; the call had no effect and may be sent elsewhere.
        """
        if self._closed:
            self._turned_away += 1
            raise self.closed_error()
        self.entered += 1
        self._empty.clear()

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left += 1
        if self._left == self.entered:
            self._empty.set()

    @contextmanager
    def when_closing(self, tell: Callable[[], None]) -> Iterator[None]:
        """Calls `tell` if the gate closes in the block: for calls that wait for more from their caller."""
        self._when_closing.add(tell)
        try:
            yield
        finally:
            self._when_closing.discard(tell)

    @staticmethod
    def closed_error() -> Closed:
        """The error for a call that comes too late."""
        return Closed("the server is draining; another server may answer")

    async def close(self, grace_s: float) -> None:
        """Refuses new calls; returns when all calls have ended and no new ones arrive, or after `grace_s`.

        gRPC answers CANCELLED to calls that arrive while a server shuts down, and callers must not send those again. So
        such calls still get UNAVAILABLE here, for `LINGER_S` at most.
        """
        self._closed = True
        for tell in tuple(self._when_closing):
            tell()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._empty.wait()
                async with asyncio.timeout(LINGER_S):
                    await self._quiet()

    async def _quiet(self) -> None:
        before = -1
        while before != self._turned_away:
            before = self._turned_away
            await asyncio.sleep(QUIET_S)
