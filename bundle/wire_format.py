"""Serialized protobuf messages: types of fields, and encoded numbers.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import NamedTuple

Serialized = bytes | memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Types of a field, in the lowest three bits of its tag."""
FIXED = {FIXED64: 8, FIXED32: 4}
"""Types whose values have a fixed number of bytes."""


class Field(NamedTuple):
    """Where a field of a message lies."""

    tag: int
    """Its number << 3 | its type."""
    start: int
    content: int
    """Where its value begins, behind the length where it has one."""
    stop: int


def varint(value: int) -> bytes:
    """The number in protobuf's encoding."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def read_varint(message: Serialized, at: int) -> tuple[int, int]:
    """The number at this position, and its end. Raises IndexError at the message's end, ValueError over 64 bits."""
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def fields(message: Serialized) -> Iterator[Field]:
    """The fields of a message. Raises ValueError: it is none, or it has a group."""
    start = 0
    while start < len(message):
        try:
            tag, content = read_varint(message, start)
            kind, stop = tag & 7, content
            if kind == BYTES:
                length, content = read_varint(message, content)
                stop = content + length
            elif kind == VARINT:
                _, stop = read_varint(message, content)
            elif kind in FIXED:
                stop = content + FIXED[kind]
            else:
                raise ValueError("a field of no known type")
        except IndexError as err:
            raise ValueError("the message ends within a field") from err
        if stop > len(message):
            raise ValueError("the message ends within a field")
        yield Field(tag, start, content, stop)
        start = stop
