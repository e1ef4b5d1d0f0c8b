"""Counts the fields and numbers of a serialized message before protobuf parses it.

Parsing takes time for each of them, on the event loop, and blocks all other calls.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from vouch.bundle.wire_format import BYTES, FIXED, VARINT, Serialized, read_varint
from vouch.server.errors import InvalidRequest

FEW_BYTES = 1 << 16
"""A message up to this size is parsed in a few milliseconds, whatever its fields are."""
MAX_FIELDS = 65_536
"""Most fields of a message: several times as many as a request with the most files. Counting them takes about 20 ms."""

MAX_NUMBERS = 1 << 20
"""Most numbers in all packed fields: protobuf parses them in about 10 ms, and each takes up to eight bytes."""
VARINTS = {
    *(FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64),
    *(FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64),
    *(FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SINT64),
}


def check_fields(message: Serialized, descriptor: Any) -> None:
    """
    Args:
        descriptor: protobuf's descriptor of the message.

    Raises:
        InvalidRequest: it has more than `MAX_FIELDS` or `MAX_NUMBERS`. Bytes that are not a message are left to
            protobuf.
    """
    left, numbers, waiting = MAX_FIELDS, 0, [(0, len(message), descriptor)]
    while waiting:
        at, stop, kind = waiting.pop()
        inner, packed = _inner(kind), _packed(kind)
        while at < stop:
            left -= 1
            if left < 0:
                raise InvalidRequest(f"the request has more than {MAX_FIELDS:,} fields")
            try:
                tag, at = read_varint(message, at)
                wire = tag & 7
                if wire == BYTES:
                    length, at = read_varint(message, at)
                    if (content := inner.get(tag >> 3)) is not None and at + length <= stop:
                        waiting.append((at, at + length, content))
                    elif tag >> 3 in packed:
                        numbers += length
                        if numbers > MAX_NUMBERS:
                            raise InvalidRequest(f"the request has more than {MAX_NUMBERS:,} bytes of packed numbers")
                    at += length
                elif wire == VARINT:
                    _, at = read_varint(message, at)
                elif wire in FIXED:
                    at += FIXED[wire]
                else:
                    return
            except (IndexError, ValueError):
                return


@cache
def _inner(descriptor: Any) -> Mapping[int, Any]:
    """Number -> message type of the fields that are messages."""
    return {
        field.number: field.message_type for field in descriptor.fields if field.type == FieldDescriptor.TYPE_MESSAGE
    }


@cache
def _packed(descriptor: Any) -> frozenset[int]:
    """The numbers of the fields that may be packed varints."""
    return frozenset(field.number for field in descriptor.fields if field.is_repeated and field.type in VARINTS)
