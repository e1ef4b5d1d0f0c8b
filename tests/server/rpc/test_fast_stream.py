from hypothesis import given
from hypothesis import strategies as st

from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.fast_stream import close_named, open_named


@given(st.binary(max_size=40))
def test_an_envelope_is_opened_only_where_it_is_plain(content: bytes) -> None:
    """What was opened and closed again is what protobuf reads there; anything else is left to the long way."""
    opened = open_named(content)

    if opened is not None:
        assert b"".join(close_named(opened[0], (opened[1],))).endswith(bytes(opened[1]))
        assert bytes(opened[1]) in content


@given(name=st.text(st.characters(max_codepoint=127), max_size=300), pixels=st.binary(max_size=300))
def test_an_envelope_as_protobuf_writes_it_is_opened(name: str, pixels: bytes) -> None:
    """With the id's field and the request inside."""
    request = pb.PredictRequest(raw=pb.RawImages(pixels=pixels), version=1)
    message = pb.PredictStreamRequest(id=name, request=request).SerializeToString()

    opened = open_named(message)

    assert opened is not None
    assert pb.PredictStreamRequest.FromString(opened[0]).id == name
    assert bytes(opened[1]) == request.SerializeToString()
    assert b"".join(close_named(opened[0], (opened[1],))) == message
