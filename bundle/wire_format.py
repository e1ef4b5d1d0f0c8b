"""Serialized protobuf messages: types of fields, and encoded numbers.

https://protobuf.dev/programming-guides/encoding/
"""

Serialized = bytes | memoryview

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Types of a field, in the lowest three bits of its tag."""
FIXED = {FIXED64: 8, FIXED32: 4}
"""Types whose values have a fixed number of bytes."""


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
