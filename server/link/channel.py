"""A channel between supervisor and worker: one JSON object per line, over two sockets, one for each direction.

When a write to a socket fails, the event loop closes it, and unread data is lost. With one socket per direction, the
last messages of a worker are read even if a write to it fails.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from vouch.server.link.messages import MESSAGE, Order, Report

log = logging.getLogger("vouch.server")

CLOSE_WITHIN_S = 2.0
_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

MAX_LINE_BYTES = 1 << 24
"""Counts take about 20 bytes for each batch size of a version; 10 kB in total are usual."""


@dataclass(frozen=True)
class Ends:
    """The two sockets of one side."""

    reads: socket.socket
    writes: socket.socket

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """The ends of both sides."""
        (to_us, from_them), (to_them, from_us) = socket.socketpair(), socket.socketpair()
        return cls(to_us, from_us), cls(to_them, from_them)

    @classmethod
    def inherited(cls, descriptors: tuple[int, int]) -> Self:
        """The ends that this process has inherited."""
        reads, writes = descriptors
        return cls(socket.socket(fileno=reads), socket.socket(fileno=writes))

    @property
    def descriptors(self) -> tuple[int, int]:
        """The descriptors of the socket to read, and of the one to write."""
        return self.reads.fileno(), self.writes.fileno()

    def close(self) -> None:
        """Closes both sockets."""
        self.reads.close()
        self.writes.close()


class Channel:
    """One side of the channel."""

    def __init__(self, reading: _Stream, writing: _Stream) -> None:
        self._reader, self._read_end = reading
        self._written_back, self._writer = writing  # the reader is kept, or it would be garbage-collected

    def say(self, message: Order | Report) -> None:
        """Sends a message; it is lost if the other side has closed."""
        if not self._writer.is_closing():
            self._writer.write(MESSAGE.dump_json(message) + b"\n")

    async def heard(self) -> AsyncIterator[Order | Report]:
        """The messages of the other side, until it closes."""
        try:
            while line := await self._reader.readline():
                yield MESSAGE.validate_json(line)
        except ConnectionError:
            return
        except ValueError:
            log.exception("a message of the channel is invalid; the channel is closed")

    async def close(self) -> None:
        """Sends pending messages, as far as the other side reads them in time, and closes."""
        self._read_end.close()
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except ConnectionError:
            return


async def channel(ends: Ends) -> Channel:
    """A channel over these ends."""
    reading = await asyncio.open_connection(sock=ends.reads, limit=MAX_LINE_BYTES)
    return Channel(reading, await asyncio.open_connection(sock=ends.writes))
