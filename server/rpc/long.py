"""Long requests: their contents are taken out before protobuf reads the rest, and stay where they are.

Protobuf would copy them, and again whenever they are asked for: each time 64 MB hold up the event loop for 60 ms.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from vouch.bundle.wire_format import Serialized, fields, varint

LONG_BYTES = 1 << 20
"""Of a request from which on its contents are taken out: copies of a shorter one take a few milliseconds."""
MAX_FIELDS = 65_536
"""Fields of a request that is looked through for contents."""
Path = Sequence[Collection[int]]
"""Tags of the fields that lead to the contents, the outermost first; the last are those of the contents."""


def take_out(request: Serialized, path: Path) -> tuple[bytes, list[memoryview]] | None:
    """The request without its contents, and these in their order.

    None where the request is short, or its contents do not lie together in one field at each step of the path.
    """
    if len(request) <= LONG_BYTES:
        return None
    contents = list[memoryview]()
    rest = _rest(memoryview(request), path, contents)
    return None if rest is None or not contents else (rest, contents)


def read_long(
    request: Serialized, path: Path, decode: Callable[[Serialized], Any]
) -> tuple[Any, list[memoryview] | None]:
    """The message, and its contents where they are taken out of it.

    Args:
        decode: to a message; raises InvalidRequest where the bytes are none.
    """
    taken = take_out(request, path)
    return (decode(request), None) if taken is None else (decode(taken[0]), taken[1])


def _rest(message: memoryview, path: Path, contents: list[memoryview]) -> bytes | None:
    kept, inner = list[bytes | memoryview](), 0
    try:
        for number, field in enumerate(fields(message)):
            if number == MAX_FIELDS:
                return None
            if field.tag not in path[0]:
                kept.append(message[field.start : field.stop])
            elif len(path) == 1:
                contents.append(message[field.content : field.stop])
            else:
                inner += 1
                within = _rest(message[field.content : field.stop], path[1:], contents)
                if within is None or inner > 1:
                    return None
                kept.append(varint(field.tag) + varint(len(within)) + within)
    except ValueError:
        return None
    return b"".join(kept)
