"""A long request keeps nobody waiting: the event loop copies none of it as a whole, over REST and over gRPC."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf.message import Message

from tests.server.rest.conftest import Rest, serving_tiny
from tests.server.rest.test_predict import FORM, form
from tests.support.loop_lag import measured_lag
from vouch.protos.inference import inference_pb2 as oip
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.transport.asgi_request import Event

COUNT = 2 << 20
CONTENT_BYTES, PIECE_BYTES = 16 * COUNT, 1 << 18
PREDICT, INFER = "/v1/models/tiny:predict", "/v2/models/tiny/infer"
TENSOR: dict[str, Any] = {"name": "images", "shape": [COUNT, 4, 4], "datatype": "UINT8"}
JSON = orjson.dumps({"inputs": [TENSOR | {"parameters": {"binary_data_size": CONTENT_BYTES}}]})


def in_classifier(content: bytes) -> pb.PredictRequest:
    return pb.PredictRequest(model="tiny", encoded=pb.EncodedImages(files=[content]))


def in_oip(content: bytes) -> oip.ModelInferRequest:
    tensor = oip.ModelInferRequest.InferInputTensor(**TENSOR)
    return oip.ModelInferRequest(model_name="tiny", inputs=[tensor], raw_input_contents=[content])


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with serving_tiny(tmp_path / "models", 64 << 20, 1 << 30) as house:
        yield house


def pieces(body: bytes) -> list[bytes]:
    return [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]


def a_copy_s() -> float:
    """What it takes this machine to copy the content once."""
    content, began_s = bytes(CONTENT_BYTES), time.thread_time()
    bytearray(content)
    return time.thread_time() - began_s


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (PREDICT, lambda content: content, {}),
        (PREDICT, lambda content: form(("file", "a.png", content)), {"kind": FORM}),
        (INFER, lambda content: JSON + content, {"inference_header_content_length": str(len(JSON))}),
        (INFER, lambda content: b"[" + content + b"]", {"kind": "application/json"}),
    ],
    ids=["image", "form", "tensor", "JSON"],
)
async def test_a_long_body_keeps_nobody_waiting(
    rest: Rest, path: str, body: Callable[[bytes], bytes], headers: dict[str, Any]
) -> None:
    """Not for half the time that one copy of it takes."""
    sent = pieces(body(bytes(CONTENT_BYTES)))
    async with measured_lag() as lag:
        answer = await rest.ask("POST", path, *sent, **headers)

    assert answer.status in (400, 413)
    assert lag.busy_s < a_copy_s() / 2


@pytest.mark.parametrize(
    ("path", "message", "words"),
    [
        ("/vouch.v1.Classifier/Predict", in_classifier, b"file 0: "),
        (
            "/vouch.v1.Classifier/PredictStream",
            lambda content: pb.PredictStreamRequest(id="a", request=in_classifier(content)),
            b"file 0: ",
        ),
        ("/inference.GRPCInferenceService/ModelInfer", in_oip, b"expected 1 to 500 images"),
    ],
    ids=["Predict", "PredictStream", "ModelInfer"],
)
async def test_a_long_message_keeps_nobody_waiting(
    rest: Rest, path: str, message: Callable[[bytes], Message], words: bytes
) -> None:
    """The same over gRPC."""
    written = message(bytes(CONTENT_BYTES)).SerializeToString()
    left, sent = pieces(b"\0" + len(written).to_bytes(4, "big") + written), list[Event]()

    async def receive() -> Event:
        await asyncio.sleep(0)
        if not left:
            await asyncio.Event().wait()  # who has asked waits for the answer
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(event: Event) -> None:
        sent.append(event)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "http_version": "2",
        "client": None,
        "headers": [(b"content-type", b"application/grpc"), (b"te", b"trailers")],
        "extensions": {"http.response.trailers": {}},
    }
    async with measured_lag() as lag:
        await rest.app()(scope, receive, send)

    assert words in repr(sent).encode()
    assert lag.busy_s < a_copy_s() / 2
