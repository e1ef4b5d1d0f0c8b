"""Requests of a stream, and answers to them."""

import asyncio
from collections.abc import AsyncIterator

from vouch.server.budget import Hold
from vouch.server.rpc.stream import STREAM_WINDOW


class Source:
    """Numbers from 0, for ever or up to an end; counts how many were read."""

    def __init__(self, end: int | None = None) -> None:
        self.read = 0
        self._end = end

    async def __aiter__(self) -> AsyncIterator[int]:
        while self._end is None or self.read < self._end:
            self.read += 1
            yield self.read - 1


async def settle() -> None:
    """Lets every task that can go on do so."""
    for _ in range(5 * STREAM_WINDOW):
        await asyncio.sleep(0)


async def doubled(number: int, _: Hold) -> int:
    return 2 * number
