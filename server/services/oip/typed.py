"""Pixels that a request carries as typed values, read from its bytes by array operations.

Protobuf would read them number by number, and hand them on as Python's: seconds on the event loop for a request of some
MB. So a packed field of many values is taken out of the request before protobuf reads the rest.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vouch.bundle.wire_format import read_varint, varint
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.fast import Span, find_field
from vouch.server.rpc.method import Serialized

INPUTS_TAG, CONTENTS_TAG, VALUES_TAG = 5 << 3 | 2, 5 << 3 | 2, 4 << 3 | 2
"""Of the fields that lead to `uint_contents`."""
FEW_BYTES = 1 << 12
"""Of values, which protobuf reads in microseconds."""
INLINE_BYTES = 1 << 18
"""Of values that are read on the event loop: a millisecond's work."""
PIECE_BYTES = 1 << 20
"""Of values that are read at a time."""
ONE_VALUE = bytes([VALUES_TAG, 1, 0])


class Path(NamedTuple):
    """Where the values lie: their field's content, and that of the two messages around it."""

    tensor: Span
    contents: Span
    values: Span


def read_request(
    request: Serialized, decode: Callable[[Serialized], Any]
) -> tuple[pb.ModelInferRequest, Serialized | None]:
    """The message, and its typed pixels as they were written; one value stands in their place.

    None where they are few, or not written in one piece: then the message has them.

    Args:
        decode: to a ModelInferRequest; raises InvalidRequest where the bytes are none.
    """
    path = _find(request)
    if path is not None:
        message: pb.ModelInferRequest = decode(_without_values(request, path))
        if [len(tensor.contents.uint_contents) for tensor in message.inputs] == [1]:
            return message, memoryview(request)[path.values.start : path.values.stop]
    return decode(request), None


def written_values(contents: pb.InferTensorContents) -> Serialized:
    """The values of a message as they would have been written."""
    written = contents.SerializeToString()
    span = find_field(written, VALUES_TAG, 0, len(written))
    return written[span.start : span.stop] if span else b""


def count_values(written: Serialized) -> int:
    """How many there are."""
    return int(np.count_nonzero(np.frombuffer(written, np.uint8) < 0x80))


async def pixels_of(written: Serialized) -> np.ndarray:
    """The values: uint8, of one dimension.

    Raises:
        InvalidRequest: one is over 255.
    """
    if len(written) <= INLINE_BYTES:
        return read_pixels(written)
    return await asyncio.to_thread(read_pixels, written)


def read_pixels(written: Serialized) -> np.ndarray:
    """As `pixels_of`, here and now."""
    content, pixels, start = np.frombuffer(written, np.uint8), list[np.ndarray](), 0
    while start < len(content):
        stop = min(start + PIECE_BYTES, len(content))
        while stop < len(content) and content[stop - 1] >= 0x80:  # at most a value's length further
            stop += 1
        pixels.append(_read_piece(content[start:stop]))
        start = stop
    return pixels[0] if len(pixels) == 1 else np.concatenate(pixels)


def _read_piece(content: np.ndarray) -> np.ndarray:
    """Of whole values, each written as seven bits in a byte, the lowest first, and below 128 in its last byte alone."""
    more = content >= 0x80
    values = content.astype(np.uint16)
    values[1:] = np.where(more[:-1], values[1:] << 7 | values[:-1] & 0x7F, values[1:])
    too_large = values > 255
    too_large[2:] |= more[:-2] & more[1:-1]  # of three bytes or more
    wrong = np.flatnonzero(too_large & ~more)
    if wrong.size:
        start = stop = int(wrong[0])
        while start and more[start - 1]:
            start -= 1
        value, _ = read_varint(content[start : stop + 1].tobytes(), 0)
        raise InvalidRequest(f"expected UINT8 values from 0 to 255, got {value}")
    if more[-1]:
        raise InvalidRequest("expected whole values in uint_contents, got one without an end")
    return values[~more].astype(np.uint8)


def _find(request: Serialized) -> Path | None:
    tensor = find_field(request, INPUTS_TAG, 0, len(request))
    contents = tensor and find_field(request, CONTENTS_TAG, *tensor)
    values = contents and find_field(request, VALUES_TAG, *contents)
    if not (tensor and contents and values) or values.stop - values.start <= FEW_BYTES:
        return None
    return Path(tensor, contents, values)


def _without_values(request: Serialized, path: Path) -> bytes:
    inner = _replaced(request, path.contents, path.values, ONE_VALUE)
    inner = _replaced(request, path.tensor, path.contents, bytes([CONTENTS_TAG]) + varint(len(inner)) + inner)
    whole = Span(0, len(request))
    return _replaced(request, whole, path.tensor, bytes([INPUTS_TAG]) + varint(len(inner)) + inner)


def _replaced(request: Serialized, around: Span, field: Span, by: bytes) -> bytes:
    """The content of the message around a field, with another field in its place."""
    head = 1 + len(varint(field.stop - field.start))
    return bytes(request[around.start : field.start - head]) + by + bytes(request[field.stop : around.stop])
