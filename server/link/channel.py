"""A channel between supervisor and worker: one JSON object a line, over two sockets, one for each direction.

An event loop gives a socket up once a write to it fails, and what has arrived there is lost unread. With a socket for
each direction the last words of a worker are read, whatever it is told meanwhile.
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
"""Counts take some 20 bytes for each size that runs of a version had, and 10 kB are usual."""


@dataclass(frozen=True)
class Ends:
    """The two sockets of one side."""

    reads: socket.socket
    writes: socket.socket

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Of both sides."""
        (to_us, from_them), (to_them, from_us) = socket.socketpair(), socket.socketpair()
        return cls(to_us, from_us), cls(to_them, from_them)

    @classmethod
    def inherited(cls, descriptors: tuple[int, int]) -> Self:
        """From the process that has started this one."""
        reads, writes = descriptors
        return cls(socket.socket(fileno=reads), socket.socket(fileno=writes))

    @property
    def descriptors(self) -> tuple[int, int]:
        """Of the socket that is read, and of the one that is written to."""
        return self.reads.fileno(), self.writes.fileno()

    def close(self) -> None:
        """Both."""
        self.reads.close()
        self.writes.close()


class Channel:
    """One side."""

    def __init__(self, reading: _Stream, writing: _Stream) -> None:
        self._reader, self._read_end = reading
        self._written_back, self._writer = writing  # held, or it would be thrown away

    def say(self, message: Order | Report) -> None:
        """Sends a message; one that nobody can read any more is lost."""
        if not self._writer.is_closing():
            self._writer.write(MESSAGE.dump_json(message) + b"\n")

    async def heard(self) -> AsyncIterator[Order | Report]:
        """What the other end says, until it is gone."""
        try:
            while line := await self._reader.readline():
                yield MESSAGE.validate_json(line)
        except ConnectionError:
            return
        except ValueError:
            log.exception("what came over the channel is not understood; it is given up")

    async def close(self) -> None:
        """Sends what is still to be sent, as far as the other end takes it in time."""
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
