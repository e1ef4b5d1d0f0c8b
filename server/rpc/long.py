"""Long requests: separates images and tensors from the rest, which protobuf parses, without copying them.

Protobuf would copy them when it parses the message, and again at each access. Copying 64 MB blocks the event loop for
60 ms.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from vouch.bundle.wire_format import Serialized, fields, varint

LONG_BYTES = 1 << 20
"""Contents are taken out of requests over this size; copies of shorter ones take at most a few milliseconds."""
MAX_FIELDS = 65_536
"""Requests with more fields are left to protobuf."""
Path = Sequence[Collection[int]]
"""Tags of the fields around the contents, the outermost first; the last are the tags of the contents."""


def take_out(request: Serialized, path: Path) -> tuple[bytes, list[memoryview]] | None:
    """The request without its contents, and the contents in order, as views of the request.

    None if the request is short, or if its contents are not all inside one field at each step of the path.
    """
    if len(request) <= LONG_BYTES:
        return None
    contents = list[memoryview]()
    rest = _rest(memoryview(request), path, contents)
    return None if rest is None or not contents else (rest, contents)


def read_long(
    request: Serialized, path: Path, decode: Callable[[Serialized], Any]
) -> tuple[Any, list[memoryview] | None]:
    """The message, and the contents taken out of it; None as contents if they are still in the message.

    Args:
        decode: parses a message; raises InvalidRequest if the bytes are not one.
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
