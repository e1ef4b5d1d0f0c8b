"""JSON from callers: read within a bound on what it makes of the memory, and numbers of pixels to bytes."""

import asyncio
from itertools import chain
from typing import Any

import orjson

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import InvalidRequest, MessageTooLarge, quoted
from vouch.server.rpc.method import Serialized

MAX_BYTES, MAX_CONTAINERS = 4 << 20, 1 << 16
"""Of JSON in a request, and of lists and objects in it. It is read in one go, which holds up everybody else: for some
40 milliseconds at most. A list for each pixel of 224 x 224 fits."""
MEMORY = {b",": 40, b"[": 64, b"{": 240, b'"': 40}
"""Sign -> bytes that a value behind it may take: an entry with its number, a list, an object, half a text."""
WIDEST = 4
"""Bytes of each sign of a text that has one beyond the basic plane."""
AT_ONCE_BYTES = 1 << 16
"""Of JSON that is read without waiting for a turn."""
PIECE = 1 << 16
"""Numbers that are turned into bytes in one go."""


async def read_json(text: Serialized, hold: Hold, turn: asyncio.Lock) -> dict[str, Any]:
    """An object; what it takes in memory is in the hold.

    Args:
        turn: held while a long text is read.

    Raises:
        MessageTooLarge: it is longer than is read.
        InvalidRequest: it is no JSON, or no object; or the budget could never hold it.
        Overloaded: the budget has no room for it.
    """
    if len(text) > MAX_BYTES:
        raise MessageTooLarge(
            f"the JSON has {len(text):,} bytes, at most {MAX_BYTES:,} are read; send pixels as binary tensors, or files"
        )
    if len(text) > FREE_BYTES:
        content = bytes(text)
        if content.count(b"[") + content.count(b"{") > MAX_CONTAINERS:
            raise InvalidRequest(
                f"the JSON has more than {MAX_CONTAINERS:,} lists and objects; send pixels as one flat list, or binary"
            )
        size = sum(size * content.count(sign) for sign, size in MEMORY.items())
        is_plain = content.isascii() and b"\\u" not in content
        hold.take("received", size if is_plain else size + WIDEST * len(content))
    if len(text) <= AT_ONCE_BYTES:
        value = _parsed(text)
    else:
        async with turn:
            value = _parsed(text)
            await asyncio.sleep(0)
    if not isinstance(value, dict):
        raise InvalidRequest(f"expected a JSON object, got {kind_of(value)}")
    return value


def _parsed(text: Serialized) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as err:
        raise InvalidRequest(f"the body is no JSON: {err}") from err


async def pixels_of(values: Any, name: str) -> bytes:
    """Numbers from 0 to 255, flat or nested in any way, as bytes in the order in which they stand.

    Args:
        name: of what they are, for errors.

    Raises:
        InvalidRequest: something else is among them.
    """
    if not isinstance(values, list):
        raise InvalidRequest(f"expected a list as data of {quoted(name)}, got {kind_of(values)}")
    if len(values) <= PIECE and not (values and isinstance(values[0], list)):
        return _bytes(values, name)
    return await asyncio.to_thread(_pixels, values, name)


def _pixels(values: list[Any], name: str) -> bytes:
    while values and isinstance(values[0], list):
        if not all(isinstance(one, list) for one in values):
            raise InvalidRequest(f"expected lists of one depth as data of {quoted(name)}")
        values = list(chain.from_iterable(values))
    return b"".join([_bytes(values[at : at + PIECE], name) for at in range(0, len(values), PIECE)])


def _bytes(values: list[Any], name: str) -> bytes:
    if set(map(type, values)) <= {int}:
        try:
            return bytes(values)
        except ValueError:
            pass
    wrong = next(one for one in values if type(one) is not int or not 0 <= one <= 255)
    raise InvalidRequest(f"expected UINT8 values from 0 to 255 as data of {quoted(name)}, got {kind_of(wrong)}")


def kind_of(value: Any) -> str:
    """A value as an error names it."""
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    if isinstance(value, dict):
        return "an object"
    return quoted(value) if isinstance(value, str) else orjson.dumps(value).decode()
