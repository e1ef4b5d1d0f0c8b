"""A channel between supervisor and worker: one JSON object a line, over a socket that both hold an end of."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

from vouch.server.link.messages import MESSAGE, Order, Report

log = logging.getLogger("vouch.server")

CLOSE_WITHIN_S = 2.0
MAX_LINE_BYTES = 1 << 24
"""Counts take some 20 bytes for each size that runs of a version had, and 10 kB are usual."""


class Channel:
    """One end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

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
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except ConnectionError:
            return


async def channel(end: socket.socket) -> Channel:
    """A channel over this end of a socket pair."""
    return Channel(*await asyncio.open_connection(sock=end, limit=MAX_LINE_BYTES))
