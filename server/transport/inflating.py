"""Compressed messages: bounded by what they inflate to, and off the event loop where that takes long.

One thread inflates, whoever asks: what a stranger has inflated takes no more than one core, and one message's memory.
"""

import asyncio
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from vouch.server.errors import InvalidRequest, MessageTooLarge, Overloaded, Unsupported

WINDOW_BITS = {"gzip": 31, "deflate": 15}
"""Encodings that are read, and as what zlib knows them."""
COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How a message in these encodings begins. No message of ours can: the first byte would be field 3 of a type that does
not exist, or field 15, which none of them has (a test looks)."""
AT_ONCE_BYTES = 4096
"""Of a compressed message: up to here it is inflated where it is, which takes less than to ask a thread. It may still
become a thousand times as long, which takes about 10 ms."""
MAX_WAITING, MAX_WAITING_BYTES = 256, 64 << 20
"""Messages that may wait for the thread, and their bytes; one alone may have more."""


async def inflated_if_compressed(message: bytes, max_bytes: int) -> bytes:
    """What a message holds whose headers are not known: grpcio keeps them to itself. Raises as `inflated`."""
    if not message.startswith(COMPRESSED):
        return message
    return await inflated(message, "gzip" if message.startswith(COMPRESSED[0]) else "deflate", max_bytes)


async def inflated(message: bytes, encoding: str, max_bytes: int) -> bytes:
    """What a compressed message holds.

    Args:
        encoding: as gRPC's header says it.
        max_bytes: of what it holds.

    Raises:
        Unsupported: it is compressed in another way.
        InvalidRequest: it is not compressed so, ends too early, or more follows its end, a second member of gzip too.
        MessageTooLarge: it holds more; the memory for more was not taken.
        Overloaded: too many wait already.
    """
    if encoding not in WINDOW_BITS:
        raise Unsupported(f"messages compressed as {encoding!r} are not read")
    if len(message) <= AT_ONCE_BYTES:
        return _inflate(message, encoding, max_bytes)
    waiting_bytes = sum(len(one.message) for one in _waiting)
    if len(_waiting) >= MAX_WAITING or (_waiting and waiting_bytes + len(message) > MAX_WAITING_BYTES):
        raise Overloaded(f"{len(_waiting):,} compressed messages wait to be inflated; send this one later, or as it is")
    work = _Work(message, encoding, max_bytes)
    _waiting.add(work)
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread(), work)
    finally:
        _waiting.discard(work)
        work.message = b""  # the thread's queue holds the work itself until its turn comes


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="inflate")


class _Work:
    """A message that waits for the thread."""

    def __init__(self, message: bytes, encoding: str, max_bytes: int) -> None:
        self.message = message
        self._encoding = encoding
        self._max_bytes = max_bytes

    def __call__(self) -> bytes:
        return _inflate(self.message, self._encoding, self._max_bytes)


_waiting: set[_Work] = set()
"""Of the process, as the thread is."""


def _inflate(message: bytes, encoding: str, max_bytes: int) -> bytes:
    inflate = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        content = inflate.decompress(message, max_bytes + 1)
    except zlib.error as err:
        raise InvalidRequest(f"the message is not compressed as {encoding} says") from err
    if len(content) > max_bytes:
        raise MessageTooLarge(f"inflated, the message has more than {max_bytes:,} bytes")
    if not inflate.eof:
        raise InvalidRequest("the compressed message ends too early")
    if inflate.unused_data:
        raise InvalidRequest(f"{len(inflate.unused_data):,} bytes follow the end of the compressed message")
    return content
