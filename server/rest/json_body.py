"""Reads JSON from callers within a memory limit, and turns pixel values into bytes."""

import asyncio
from itertools import chain
from typing import Any

import orjson

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import InvalidRequest, MessageTooLarge, quoted
from vouch.server.rpc.method import Serialized

MAX_BYTES, MAX_CONTAINERS = 4 << 20, 1 << 16
"""Most bytes of JSON in a request, and most lists and objects in it. Parsing blocks all other calls, for at most about
40 milliseconds. One list per pixel of 224 x 224 fits."""
MEMORY = {b",": 40, b"[": 64, b"{": 240, b'"': 40}
"""Character -> bytes that a value after it may take: an entry with its number, a list, an object, half a string."""
WIDEST = 4
"""Bytes per character of a string that has one outside the Basic Multilingual Plane."""
AT_ONCE_BYTES = 1 << 16
"""JSON up to this size is parsed without waiting for the lock."""
PIECE = 1 << 16
"""Numbers turned into bytes at a time."""


async def read_json(text: Serialized, hold: Hold, turn: asyncio.Lock) -> dict[str, Any]:
    """A JSON object; the hold takes its memory.

    Args:
        turn: locked while a long text is parsed.

    Raises:
        MessageTooLarge: it is over the limit.
        InvalidRequest: it is not JSON, or not an object; or it is larger than the whole budget.
        Overloaded: the budget has no room for it now.
    """
    if len(text) > MAX_BYTES:
        raise MessageTooLarge(
            f"the JSON has {len(text):,} bytes, and the limit is {MAX_BYTES:,}; send pixels as binary tensors, or files"
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
        raise InvalidRequest(f"the body is not JSON: {err}") from err


async def pixels_of(values: Any, name: str) -> bytes:
    """Numbers from 0 to 255, flat or nested, as bytes in their order.

    Args:
        name: name of the input, for errors.

    Raises:
        InvalidRequest: a value is anything else.
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
    """A value's description for an error."""
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    if isinstance(value, dict):
        return "an object"
    return quoted(value) if isinstance(value, str) else orjson.dumps(value).decode()
