"""Decompresses messages in steps, off the event loop; the memory of each step is taken from the budget first.

There are as many threads as cores, and a step is short, so that no caller occupies one for long. Only one message of a
caller is decompressed at a time, so that a caller who sends many does not delay the others.
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
"""Supported encodings -> zlib's window bits."""
COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""First bytes of a message in these encodings. No uncompressed message of ours begins like this: the first byte would
be field 3 of a type that does not exist, or field 15, which none of them has (a test checks that)."""
AT_ONCE_BYTES = 4096
"""Compressed messages up to this size make their first step on the event loop, which is faster than using a thread."""
FIRST_BYTES, STEP_BYTES = 1 << 16, 1 << 20
"""Decompressed bytes of the first step, and most of a later one: about 50 microseconds, and a millisecond."""
INPUT_BYTES = 1 << 18
"""Bytes given to zlib at a time, because it copies what it cannot process."""


class Inflater:
    """Decompresses the messages of all callers. Belongs to one event loop."""

    def __init__(self, max_bytes: int, threads: int) -> None:
        """
        Args:
            max_bytes: limit of a decompressed message.
        """
        self._max_bytes = max_bytes
        self._executor = ThreadPoolExecutor(max(1, threads), thread_name_prefix="inflate")
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        """Caller -> the lock for its messages."""

    async def inflated(self, message: Serialized, encoding: str, hold: Hold, caller: Hashable) -> bytes | memoryview:
        """The decompressed message.

        Args:
            encoding: value of gRPC's header.
            hold: takes the decompressed bytes.
            caller: the caller, whose other messages wait for this one.

        Raises:
            Unsupported: the encoding is not supported.
            InvalidRequest: the message is invalid or incomplete, or bytes follow its end, such as a second gzip member;
                or it is larger than the whole budget.
            MessageTooLarge: it is over the limit of a message; no memory above the limit was taken.
            Overloaded: the budget has no room for it now.
        """
        if encoding not in WINDOW_BITS:
            raise Unsupported(f"compression {encoding!r} is not supported; expected {' or '.join(WINDOW_BITS)}")
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
    """The encoding of a message that begins with one of COMPRESSED, because grpcio hides the header that states it."""
    return "gzip" if message.startswith(COMPRESSED[0]) else "deflate"


class _Work:
    """A message that is being decompressed."""

    def __init__(self, message: Serialized, encoding: str, max_bytes: int) -> None:
        self._message = memoryview(message)
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._read = 0
        self._inflate = zlib.decompressobj(WINDOW_BITS[encoding])
        self.content = bytearray()

    @property
    def has_ended(self) -> bool:
        """Whether the message is complete."""
        return self._inflate.eof

    def step(self, count: int) -> None:
        """Decompresses up to `count` more bytes. Raises InvalidRequest, MessageTooLarge."""
        stop = min(len(self.content) + count, self._max_bytes + 1)
        while not self.has_ended and len(self.content) < stop:
            self.content += self._piece(stop - len(self.content))
        if len(self.content) > self._max_bytes:
            raise MessageTooLarge(f"the decompressed message has more than {self._max_bytes:,} bytes")
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
            raise InvalidRequest(f"the compressed message is not valid {self._encoding}") from err
        if not packed and not piece and not self.has_ended:
            raise InvalidRequest("the compressed message is incomplete")
        return piece
