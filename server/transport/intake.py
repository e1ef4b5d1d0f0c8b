"""What takes requests in, one for all calls of a transport: its bound on a message, and what reads long ones."""

import asyncio

from vouch.server.transport.arriving import Arriving
from vouch.server.transport.inflating import Inflater


class Intake:
    """Belongs to one event loop."""

    def __init__(self, max_message_bytes: int, cores: int = 1) -> None:
        """
        Args:
            max_message_bytes: of a message, also when it is inflated.
            cores: how many messages may be inflated at once.
        """
        self.max_message_bytes = max_message_bytes
        self.inflater = Inflater(max_message_bytes, cores)
        self.arriving = Arriving()
        self.long_work = asyncio.Lock()
        """Held by a request whose reading takes tens of milliseconds of the event loop: a second one waits its turn, so
        that all others have one in between."""
