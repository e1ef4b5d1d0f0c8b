import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.services.oip.calls import raw_request, typed_request
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.wire_format import varint
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.method import Serialized
from vouch.server.services.oip.request import requested_images
from vouch.server.services.oip.typed import FEW_BYTES, count_values, read_pixels, read_request

IMAGES = np.random.default_rng(0).integers(0, 256, (500, 4, 4), dtype=np.uint8)


def decode(request: Serialized) -> pb.ModelInferRequest:
    try:
        return pb.ModelInferRequest.FromString(bytes(request))
    except Exception as err:
        raise InvalidRequest("no message") from err


def packed(values: list[int]) -> bytes:
    return b"".join(map(varint, values))


@given(st.lists(st.integers(0, 255), max_size=300))
def test_pixels_are_read_as_protobuf_reads_them(values: list[int]) -> None:
    """And counted before."""
    written = packed(values)

    assert count_values(written) == len(values)
    if values:
        assert read_pixels(written).tolist() == values


def test_pixels_are_read_piece_by_piece_wherever_a_piece_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a value of two bytes as well."""
    monkeypatch.setattr("vouch.server.services.oip.typed.PIECE_BYTES", 1000)
    pixels = np.random.default_rng(1).integers(100, 256, 2000, dtype=np.uint8)

    for first in (b"", b"\x01", b"\x01\x02"):
        found = read_pixels(first + packed(pixels.tolist()))
        assert found[len(first) :].tolist() == pixels.tolist()


@pytest.mark.parametrize("value", [256, 300, 16_383, 16_384, 2**32 - 1])
@pytest.mark.parametrize("around", [([], []), ([7, 200], [255])])
def test_a_value_that_is_no_pixel_is_named(value: int, around: tuple[list[int], list[int]]) -> None:
    """Wherever it stands."""
    before, behind = around

    with pytest.raises(InvalidRequest, match=f"expected UINT8 values from 0 to 255, got {value}$"):
        read_pixels(packed([*before, value, *behind]))


def test_a_value_without_an_end_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="complete values"):
        read_pixels(packed([1, 2]) + b"\x80")


def test_many_typed_pixels_are_taken_out_of_the_message() -> None:
    """One stands in their place; all else is as it was."""
    request = typed_request(IMAGES)
    request.id = "mine"
    request.outputs.add(name="logits")

    message, written = read_request(request.SerializeToString(), decode)

    assert written is not None
    assert read_pixels(written).tolist() == IMAGES.ravel().tolist()
    request.inputs[0].contents.uint_contents[:] = [0]
    assert message == request


def test_few_pixels_and_raw_ones_stay_in_the_message() -> None:
    """There is nothing to be saved."""
    few = typed_request(IMAGES[:3])

    assert read_request(few.SerializeToString(), decode) == (few, None)
    assert read_request(raw_request(IMAGES).SerializeToString(), decode) == (raw_request(IMAGES), None)


@pytest.mark.parametrize("twice", ["values", "contents", "inputs"])
def test_what_is_written_in_several_pieces_is_left_to_protobuf(twice: str) -> None:
    """It puts them together, or the request has two inputs."""
    one = typed_request(IMAGES).inputs[0]
    values = one.contents.SerializeToString()
    contents = field(5, values * (2 if twice == "values" else 1)) * (2 if twice == "contents" else 1)
    one.ClearField("contents")
    request = field(5, one.SerializeToString() + contents) * (2 if twice == "inputs" else 1)

    message, written = read_request(request, decode)

    assert written is None
    assert message == pb.ModelInferRequest.FromString(request)


def test_values_one_by_one_are_left_to_protobuf() -> None:
    """As proto2 wrote them."""
    one = typed_request(IMAGES).inputs[0]
    one.ClearField("contents")
    values = b"".join(bytes([4 << 3]) + varint(value) for value in IMAGES.ravel().tolist())
    request = field(5, one.SerializeToString() + field(5, values))

    message, written = read_request(request, decode)

    assert written is None
    assert list(message.inputs[0].contents.uint_contents) == IMAGES.ravel().tolist()


@given(st.binary(max_size=60), st.integers(0, 3 * FEW_BYTES))
def test_any_bytes_are_read_as_protobuf_reads_them_or_refused(noise: bytes, at: int) -> None:
    """A message with something wrong in it gives what protobuf gives, values put back."""
    whole = typed_request(IMAGES).SerializeToString()
    request = whole[:at] + noise + whole[at:]
    try:
        expected = decode(request)
    except InvalidRequest:
        expected = None

    try:
        message, written = read_request(request, decode)
    except InvalidRequest:
        assert expected is None
        return
    if written is None:
        assert message == expected
    elif expected is not None:
        assert expected.inputs[0].contents.uint_contents[: count_values(written)] == protobuf_values(written)


async def test_what_reading_pixels_takes_is_held_meanwhile() -> None:
    """Before it is allocated; where there is no room nothing is."""
    expected = PixelSettings(height=4, width=4)
    images = requested_images(typed_request(IMAGES), None, expected, 500)
    narrow, wide = (worker_budget(total) for total in (IMAGES.nbytes, 2 * IMAGES.nbytes))

    with Hold(narrow) as hold, pytest.raises(InvalidRequest, match="can never fit"):
        await images.load(hold)
    with Hold(wide) as hold:
        read = await images.load(hold)
        assert hold.bytes == 0
    assert (read == IMAGES).all()


def protobuf_values(written: Serialized) -> list[int]:
    return list(pb.InferTensorContents.FromString(field(4, bytes(written))).uint_contents)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content
