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
MAX_WAITING = 256
"""Messages that may wait for the thread."""
_waiting = 0


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
        InvalidRequest: it is not compressed so, or ends too early.
        MessageTooLarge: it holds more; the memory for more was not taken.
        Overloaded: too many wait already.
    """
    global _waiting  # noqa: PLW0603  # of the process, as the thread is
    if encoding not in WINDOW_BITS:
        raise Unsupported(f"messages compressed as {encoding!r} are not read")
    if len(message) <= AT_ONCE_BYTES:
        return _inflate(message, encoding, max_bytes)
    if _waiting >= MAX_WAITING:
        raise Overloaded(f"{_waiting:,} compressed messages wait to be inflated; send this one later, or as it is")
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_thread(), _inflate, message, encoding, max_bytes)
    finally:
        _waiting -= 1


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="inflate")


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
    return content
