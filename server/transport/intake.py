"""Shared by all incoming requests of a transport: the limit of a message, and the reading of large ones."""

import asyncio

from vouch.server.transport.arriving import Arriving
from vouch.server.transport.inflating import Inflater


class Intake:
    """Limit, decompression and arrival of messages. Belongs to one event loop."""

    def __init__(self, max_message_bytes: int, cores: int = 1) -> None:
        """
        Args:
            max_message_bytes: limit of a message, also when decompressed.
            cores: how many messages may be decompressed at the same time.
        """
        self.max_message_bytes = max_message_bytes
        self.inflater = Inflater(max_message_bytes, cores)
        self.arriving = Arriving()
        self.long_work = asyncio.Lock()
        """Locked by a request whose parsing blocks the event loop for tens of milliseconds: a second one waits, so that
        other requests run in between."""
