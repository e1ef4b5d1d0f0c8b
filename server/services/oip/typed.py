"""Pixels that a request carries as typed values, read from its bytes by array operations.

Protobuf would read them one by one, as Python integers: seconds on the event loop for a request of some MB. So a packed
field of many values is cut out of the request before protobuf parses the rest.
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
"""Tags of the fields that lead to `uint_contents`."""
FEW_BYTES = 1 << 12
"""Values up to this size are left to protobuf, which reads them in microseconds."""
INLINE_BYTES = 1 << 18
"""Values up to this size are read on the event loop: about a millisecond."""
PIECE_BYTES = 1 << 20
"""Bytes of values read at a time."""
ONE_VALUE = bytes([VALUES_TAG, 1, 0])


class Path(NamedTuple):
    """Where the values are: the content of their field, and of the two messages around it."""

    tensor: Span
    contents: Span
    values: Span


def read_request(
    request: Serialized, decode: Callable[[Serialized], Any]
) -> tuple[pb.ModelInferRequest, Serialized | None]:
    """The message without its typed pixels, for which it has one value, and their serialized bytes.

    The bytes are None if the values are few, or not in one piece: then the message contains them.

    Args:
        decode: parses a ModelInferRequest; raises InvalidRequest if the bytes are invalid.
    """
    path = _find(request)
    if path is not None:
        message: pb.ModelInferRequest = decode(_without_values(request, path))
        if [len(tensor.contents.uint_contents) for tensor in message.inputs] == [1]:
            return message, memoryview(request)[path.values.start : path.values.stop]
    return decode(request), None


def written_values(contents: pb.InferTensorContents) -> Serialized:
    """The serialized values of a message."""
    written = contents.SerializeToString()
    span = find_field(written, VALUES_TAG, 0, len(written))
    return written[span.start : span.stop] if span else b""


def count_values(written: Serialized) -> int:
    """Number of values."""
    return int(np.count_nonzero(np.frombuffer(written, np.uint8) < 0x80))


async def pixels_of(written: Serialized) -> np.ndarray:
    """The values: uint8, one-dimensional.

    Raises:
        InvalidRequest: one is over 255.
    """
    if len(written) <= INLINE_BYTES:
        return read_pixels(written)
    return await asyncio.to_thread(read_pixels, written)


def read_pixels(written: Serialized) -> np.ndarray:
    """As `pixels_of`, without waiting."""
    content, pixels, start = np.frombuffer(written, np.uint8), list[np.ndarray](), 0
    while start < len(content):
        stop = min(start + PIECE_BYTES, len(content))
        while stop < len(content) and content[stop - 1] >= 0x80:  # to the end of a value
            stop += 1
        pixels.append(_read_piece(content[start:stop]))
        start = stop
    return pixels[0] if len(pixels) == 1 else np.concatenate(pixels)


def _read_piece(content: np.ndarray) -> np.ndarray:
    """Reads whole varints: seven bits per byte, the lowest first; only the last byte of a value is below 128."""
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
        raise InvalidRequest("expected complete values in uint_contents, got an incomplete last one")
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
    """The content of the message around a field, with that field replaced."""
    head = 1 + len(varint(field.stop - field.start))
    return bytes(request[around.start : field.start - head]) + by + bytes(request[field.stop : around.stop])
