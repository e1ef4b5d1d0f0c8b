"""The gate that calls pass: counts those inside, and closes when the server drains.

Knows no transport; a transport lets every call through it, but those to methods that are answered until the end.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from vouch.server.errors import Closed

QUIET_S = 0.1
"""Nobody knocking for so long means that callers have heard."""
LINGER_S = 2.0


class Gate:
    """Open at first. Belongs to one event loop."""

    def __init__(self) -> None:
        self.entered = 0
        """Calls that it has let in, ever."""
        self._left = 0
        self._closed = False
        self._turned_away = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._when_closing: set[Callable[[], None]] = set()

    def __enter__(self) -> None:
        """Begins a call's stay inside; the gate itself, because every call passes it, and a generator costs more.

        Raises:
            Closed: the server drains; the call did nothing and may be sent elsewhere.
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
        """Has `tell` called if the gate closes within the block: for calls that wait for more from their caller."""
        self._when_closing.add(tell)
        try:
            yield
        finally:
            self._when_closing.discard(tell)

    @staticmethod
    def closed_error() -> Closed:
        """What a call is told that comes too late."""
        return Closed("the server is draining; another one may answer")

    async def close(self, grace_s: float) -> None:
        """Lets nobody in any more, and returns when all are out and nobody knocks, or after `grace_s`.

        Calls that reach a server while it shuts down are answered CANCELLED by gRPC, which callers must not send again.
        So those on their way are still told UNAVAILABLE here, for `LINGER_S` at most.
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
