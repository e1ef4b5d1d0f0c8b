from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouch.protos.inference import inference_pb2 as oip
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc import long
from vouch.server.rpc.long import LONG_BYTES, Path, read_long, take_out
from vouch.server.services.classifier.service import CONTENTS, INNER
from vouch.server.services.oip.service import RAW_CONTENTS

FILES = st.lists(st.binary(max_size=5), min_size=1, max_size=4)
RAW = st.builds(pb.RawImages, pixels=st.binary(min_size=1, max_size=9), shape=st.lists(st.integers(0, 999), max_size=4))
REQUESTS = st.builds(
    pb.PredictRequest,
    model=st.text(max_size=4),
    version=st.integers(0, 2**32 - 1),
    coverage=st.floats(0, 1),
    raw=st.none() | RAW,
    encoded=st.none() | st.builds(pb.EncodedImages, files=FILES),
)


@given(request=REQUESTS, name=st.text(max_size=3))
def test_a_request_without_its_contents_and_these_are_the_request(request: pb.PredictRequest, name: str) -> None:
    """Whatever else is in it, alone or within a stream's message; they lie where they came."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long, "LONG_BYTES", -1)
        cases: list[tuple[Path, Any, Any]] = [
            (CONTENTS, pb.PredictRequest, request),
            ((INNER, *CONTENTS), pb.PredictStreamRequest, pb.PredictStreamRequest(id=name, request=request)),
        ]
        for path, kind, sent in cases:
            written = sent.SerializeToString()
            message, contents = read_long(written, path, kind.FromString)

            assert (contents is None) is (request.WhichOneof("images") is None)
            found = message.request if path[0] == INNER else message
            assert found.WhichOneof("images") == request.WhichOneof("images")
            if contents is not None:
                assert all(view.obj is written for view in contents)
                if request.WhichOneof("images") == "raw":
                    assert not found.raw.pixels
                    (found.raw.pixels,) = map(bytes, contents)
                else:
                    assert not found.encoded.files
                    found.encoded.files.extend(map(bytes, contents))
            assert message == sent


def test_a_short_request_is_left_as_it_is() -> None:
    tensor = oip.ModelInferRequest(raw_input_contents=[bytes(LONG_BYTES)])
    short = oip.ModelInferRequest(raw_input_contents=[bytes(LONG_BYTES - 10)])

    assert take_out(short.SerializeToString(), RAW_CONTENTS) is None
    rest, contents = read_long(tensor.SerializeToString(), RAW_CONTENTS, bytes)
    assert rest == b""
    assert list(map(bytes, contents or ())) == [bytes(LONG_BYTES)]


@pytest.mark.parametrize(
    "written",
    [
        2 * pb.PredictRequest(encoded=pb.EncodedImages(files=[bytes(LONG_BYTES)])).SerializeToString(),
        pb.PredictRequest(model="a" * LONG_BYTES, version=1).SerializeToString(),
        b"\x0b\x0c" + pb.PredictRequest(raw=pb.RawImages(pixels=bytes(LONG_BYTES))).SerializeToString(),
        pb.PredictRequest(raw=pb.RawImages(pixels=bytes(LONG_BYTES))).SerializeToString()[:-1],
        b"\x22" + b"\xff" * (LONG_BYTES + 1),
        b"\x30\x00" * LONG_BYTES,
    ],
    ids=["twice", "nothing to take", "a group", "cut off", "no number", "fields without end"],
)
def test_what_is_not_plain_is_left_to_protobuf(written: bytes) -> None:
    """Which knows what it means, or that it means nothing."""
    assert take_out(written, CONTENTS) is None
