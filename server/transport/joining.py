"""Joins the pieces of a long request in a thread: copying 64 MB would block the event loop for 60 ms."""

import asyncio
from collections.abc import Sequence

import numpy as np

from vouch.server.rpc.method import Serialized

AT_ONCE_BYTES = 1 << 20
"""Pieces of at most this size together are joined on the event loop, which takes about a millisecond."""


async def joined(pieces: Sequence[Serialized | bytearray]) -> Serialized:
    """All pieces as one. Long ones are copied by numpy, which releases the interpreter's lock."""
    if len(pieces) == 1 and isinstance(pieces[0], bytes):
        return pieces[0]
    if sum(map(len, pieces)) <= AT_ONCE_BYTES:
        return b"".join(pieces)
    arrays = [np.frombuffer(piece, np.uint8) for piece in pieces if len(piece)]
    return await asyncio.to_thread(lambda: np.concatenate(arrays).data)
