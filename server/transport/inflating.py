"""Compressed messages: inflated in steps, each taken from the budget before it is made, and off the event loop.

Several threads inflate, as many as there are cores, and a step is short, so that nobody keeps one for long. Of one
caller one message is inflated at a time: whoever sends many has them inflated one after the other, and holds up nobody
else.
"""

import asyncio
import zlib
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from weakref import WeakValueDictionary

from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest, MessageTooLarge, Unsupported
from vouch.server.rpc.method import Serialized

WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""Encodings that are read, and as what zlib knows them."""
COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How a message in these encodings begins. No message of ours can: the first byte would be field 3 of a type that does
not exist, or field 15, which none of them has (a test looks)."""
AT_ONCE_BYTES = 4096
"""Of a compressed message: up to here its first step is made where it is, which takes less than to ask a thread."""
FIRST_BYTES, STEP_BYTES = 1 << 16, 1 << 20
"""What a message becomes in its first step, and in each of the last ones: about 50 microseconds, and a millisecond."""
INPUT_BYTES = 1 << 18
"""Of the message, that zlib is given at once: it copies what it has no room for."""


class Inflater:
    """Belongs to one event loop."""

    def __init__(self, max_bytes: int, threads: int) -> None:
        """
        Args:
            max_bytes: that a message may become.
        """
        self._max_bytes = max_bytes
        self._executor = ThreadPoolExecutor(max(1, threads), thread_name_prefix="inflate")
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        """Caller -> whose message it is that is inflated; those who wait hold the lock."""

    async def inflated(self, message: Serialized, encoding: str, hold: Hold, caller: Hashable) -> bytes | memoryview:
        """What a compressed message holds.

        Args:
            encoding: as gRPC's header says it.
            hold: what it becomes is taken into.
            caller: whose other messages wait for this one.

        Raises:
            Unsupported: it is compressed in another way.
            InvalidRequest: it is not compressed so, ends too early, or more follows its end, a second member of gzip
                too; or the budget could never hold it.
            MessageTooLarge: it holds more than a message may; the memory for more was not taken.
            Overloaded: the budget has no room for what it becomes.
        """
        if encoding not in WINDOW_BITS:
            raise Unsupported(f"messages compressed as {encoding!r} are not read")
        work = _Work(message, encoding, self._max_bytes)
        if len(message) <= AT_ONCE_BYTES:
            hold.take("inflated", FIRST_BYTES)
            work.step(FIRST_BYTES)
            hold.give_back("inflated", FIRST_BYTES - len(work.content))
        if not work.has_ended:
            turn = self._turns.setdefault(caller, asyncio.Lock())
            async with turn:
                await self._finish(work, hold)
        return memoryview(work.content)

    async def _finish(self, work: "_Work", hold: Hold) -> None:
        step, loop = FIRST_BYTES, asyncio.get_running_loop()
        while not work.has_ended:
            before = len(work.content)
            hold.take("inflated", step)
            await loop.run_in_executor(self._executor, partial(work.step, step))
            hold.give_back("inflated", step - (len(work.content) - before))
            step = min(4 * step, STEP_BYTES)


def encoding_of(message: bytes) -> str:
    """Of a message that begins as COMPRESSED says: grpcio keeps the headers that say it to itself."""
    return "gzip" if message.startswith(COMPRESSED[0]) else "deflate"


class _Work:
    """A message, as far as it is inflated."""

    def __init__(self, message: Serialized, encoding: str, max_bytes: int) -> None:
        self._message = memoryview(message)
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._read = 0
        self._inflate = zlib.decompressobj(WINDOW_BITS[encoding])
        self.content = bytearray()

    @property
    def has_ended(self) -> bool:
        """Whether all of it is there."""
        return self._inflate.eof

    def step(self, count: int) -> None:
        """So many bytes more, or all that there are. Raises InvalidRequest, MessageTooLarge."""
        stop = min(len(self.content) + count, self._max_bytes + 1)
        while not self.has_ended and len(self.content) < stop:
            self.content += self._piece(stop - len(self.content))
        if len(self.content) > self._max_bytes:
            raise MessageTooLarge(f"inflated, the message has more than {self._max_bytes:,} bytes")
        if self.has_ended and (left := len(self._inflate.unused_data) + len(self._message) - self._read):
            raise InvalidRequest(f"{left:,} bytes follow the end of the compressed message")

    def _piece(self, count: int) -> bytes:
        packed: bytes | memoryview = self._inflate.unconsumed_tail
        if not packed:
            packed = self._message[self._read : self._read + INPUT_BYTES]
            self._read += len(packed)
        try:
            piece = self._inflate.decompress(packed, count)
        except zlib.error as err:
            raise InvalidRequest(f"the message is not compressed as {self._encoding} says") from err
        if not packed and not piece and not self.has_ended:
            raise InvalidRequest("the compressed message ends too early")
        return piece
