"""Messages of millions of fields are refused before protobuf reads them."""

from collections.abc import Callable
from typing import SupportsIndex

import pytest

from vouch.bundle.wire_format import varint
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.protobuf import FEW_BYTES, MAX_FIELDS, MAX_NUMBERS, check_fields

PREDICT, INFER = pb.PredictRequest.DESCRIPTOR, inference_pb2.ModelInferRequest.DESCRIPTOR
NUMBER = b"\x08\x01"


class Counted(bytes):
    """How often a byte of it is read: a clock would count what else the machine does."""

    reads = 0

    def __getitem__(self, at: SupportsIndex | slice) -> int:  # type: ignore[override]
        assert not isinstance(at, slice), "a part of the message is copied"
        self.reads += 1
        return super().__getitem__(at)


def within(tag: int, content: bytes) -> bytes:
    """A field that holds this content."""
    return varint(tag << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    ("message", "descriptor"),
    [
        (lambda: NUMBER * 20_000_000, PREDICT),
        (lambda: NUMBER * 20_000_000, INFER),
        (lambda: within(3, NUMBER * 20_000_000), PREDICT),
        (lambda: within(4, b"\x0a\x00" * 20_000_000), PREDICT),
        (lambda: within(5, within(5, NUMBER * 20_000_000)), INFER),
        (lambda: within(3, b"") * 10_000_000, PREDICT),
        (lambda: b"\x09" + bytes(8) + NUMBER * 20_000_000, PREDICT),
        (lambda: b"\x0d" + bytes(4) + NUMBER * 20_000_000, PREDICT),
    ],
    ids=[
        "at the top",
        "of the other service",
        "in the pixels",
        "files",
        "two deep",
        "empty ones",
        "64 bits",
        "32 bits",
    ],
)
def test_too_many_fields_are_refused_in_a_moment(message: Callable[[], bytes], descriptor: object) -> None:
    """Wherever they are, and whatever their kind."""
    counted = Counted(message())
    with pytest.raises(InvalidRequest, match=f"the request has more than {MAX_FIELDS:,} fields"):
        check_fields(counted, descriptor)

    assert counted.reads <= 3 * MAX_FIELDS


@pytest.mark.parametrize(
    ("message", "descriptor"),
    [
        (lambda: within(3, within(2, b"\x01" * 20_000_000)), PREDICT),
        (lambda: within(5, within(5, within(3, b"\x01" * 20_000_000))), INFER),
        (lambda: within(5, within(5, within(1, b"\x01" * 600_000) + within(4, b"\x80\x01" * 300_000))), INFER),
        (lambda: within(5, within(3, b"\x01" * 20_000_000)), INFER),
    ],
    ids=["raw shape", "typed contents", "several kinds", "tensor shape"],
)
def test_too_many_packed_numbers_are_refused_in_a_moment(message: Callable[[], bytes], descriptor: object) -> None:
    """Protobuf reads each, and 64 MB of them become 512."""
    counted = Counted(message())
    with pytest.raises(InvalidRequest, match=f"the request has more than {MAX_NUMBERS:,} bytes of packed numbers"):
        check_fields(counted, descriptor)

    assert counted.reads < 100


def test_numbers_that_are_copied_as_they_are_are_not_counted() -> None:
    """Floating-point ones and bytes."""
    floats = within(5, within(5, within(6, b"\0" * 8_000_000)))
    doubles = within(5, within(5, within(7, b"\0" * 8_000_000)))

    check_fields(floats + doubles + within(7, b"\0" * 8_000_000), INFER)


def test_the_largest_requests_have_fewer() -> None:
    """As many files as a request may have, and pixels of any number of bytes."""
    files = pb.PredictRequest(encoded=pb.EncodedImages(files=[b"png"] * 16_384)).SerializeToString()
    pixels = pb.PredictRequest(raw=pb.RawImages(pixels=bytes(10_000_000), shape=[1, 2, 3])).SerializeToString()

    check_fields(files, PREDICT)
    check_fields(pixels, PREDICT)
    assert min(len(files), len(pixels)) > FEW_BYTES


@pytest.mark.parametrize("message", [b"", b"\x0a\xff", b"\x0b", b"\xff" * 20, within(3, b"\x0a\xff\xff"), b"\x0a"])
def test_what_is_no_message_is_left_to_protobuf(message: bytes) -> None:
    """It says what is wrong with it."""
    check_fields(message, PREDICT)
