from hypothesis import given
from hypothesis import strategies as st

from vouch.bundle.wire_format import Serialized, read_varint, varint
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2
from vouch.server.rpc.fast import MAX_FIELDS, MAX_KNOWN, MAX_SURROUNDING_BYTES, KnownRequests, Span, find_field

CONTENT_TAG = 2 << 3 | 2


class Reading:
    """Requests whose content is field 2; a plan is what else a request has, and each is counted."""

    def __init__(self) -> None:
        self.read = 0
        self.generation = 0
        self.known = KnownRequests(self._find, self._plan, lambda: self.generation)

    def _find(self, request: Serialized) -> Span | None:
        return find_field(request, CONTENT_TAG, 0, len(request))

    def _plan(self, request: Serialized) -> str | None:
        self.read += 1
        word = inference_pb2.ServerMetadataResponse.FromString(bytes(request)).name
        return None if word == "own" else word


def request(content: str, word: str = "word") -> bytes:
    return inference_pb2.ServerMetadataResponse(name=word, version=content).SerializeToString()


def test_a_request_is_read_once_and_known_again_whatever_its_content() -> None:
    """By its plan and where its content begins; another length of content is read on its own."""
    reading = Reading()

    found = [reading.known.recognise(request(content)) for content in ("one", "two", "six", "longer")]

    assert found == [("word", len(request("")) + 2)] * 4
    assert reading.read == 2


def test_requests_of_one_length_in_turn_are_all_known() -> None:
    """Each is read once, not whenever another came before it."""
    reading = Reading()

    for word in ["cold", "warm"] * 5:
        assert reading.known.recognise(request("one", word)) == (word, len(request("", word)) + 2)
    assert reading.read == 2


def test_what_has_no_plan_of_its_own_is_not_remembered() -> None:
    """Nor what is too long around its content, or has none."""
    reading = Reading()

    for one in (request("one", "own"), request("one", "w" * MAX_SURROUNDING_BYTES), request(""), b"", b"\xff"):
        assert reading.known.recognise(one) is None
    assert len(reading.known) == 0


def test_plans_of_another_generation_are_forgotten() -> None:
    """What they hold may be gone."""
    reading = Reading()
    reading.known.recognise(request("one"))
    reading.generation += 1

    assert reading.known.recognise(request("one")) is not None
    assert reading.read == 2


def test_requests_are_not_remembered_without_end() -> None:
    """A caller who never asks twice alike costs no memory."""
    reading = Reading()
    for number in range(3 * MAX_KNOWN):
        reading.known.recognise(request("one", f"word {number}"))

    assert len(reading.known) <= MAX_KNOWN


def test_only_a_few_fields_are_looked_at() -> None:
    """A message of millions would hold up the event loop."""
    content = request("content", "")

    assert find_field(b"\x18\x01" * (MAX_FIELDS - 1) + content, CONTENT_TAG, 0, 2 * MAX_FIELDS + 10) is not None
    assert find_field(b"\x18\x01" * MAX_FIELDS + content, CONTENT_TAG, 0, 2 * MAX_FIELDS + 10) is None


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_written_as_protobuf_does(value: int) -> None:
    """And read back, with where they end."""
    written = varint(value)

    message = inference_pb2.InferParameter.FromString(bytes([5 << 3]) + written)
    assert message.uint64_param == value
    assert read_varint(written + b"more", 0) == (value, len(written))


@given(st.binary(max_size=40))
def test_looking_for_a_field_never_leaves_the_message(content: bytes) -> None:
    """Whatever the bytes are, what is found lies within them."""
    found = find_field(content, 7 << 3 | 2, 0, len(content))

    assert found is None or 0 <= found.start <= found.stop <= len(content)


def test_a_field_is_found_behind_others() -> None:
    """Numbers and lengths are passed over."""
    request = classifier_pb2.PredictRequest(version=300, top_k=2, raw=classifier_pb2.RawImages(pixels=b"abc"))
    content = request.SerializeToString()
    raw = find_field(content, 3 << 3 | 2, 0, len(content))

    assert raw is not None
    found = find_field(content, 1 << 3 | 2, *raw)
    assert isinstance(found, Span)
    assert content[found.start : found.stop] == b"abc"
