"""Errors that quote their caller, over every transport: what comes of them fits into the headers that clients take."""

import asyncio
from collections import Counter

import grpc
import pytest
from google.protobuf.message import Message

from tests.hostile.frames import message
from tests.hostile.raw_call import RawCall
from tests.server.services.classifier.calls import raw
from tests.support.serving import Serving
from tests.support.tiny import tiny_images
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.status import MAX_MESSAGE_BYTES

ALPHABETS = {
    "ASCII": "a",
    "Chinese": "\u540d",
    "emoji": "\U0001f600",
    "percent signs": "%",
    "line ends": "\n",
    "unprintable": "\u2028",
    "German": "\u00fc",
}
HEADERS_BYTES = 4096
"""All headers of an answer: gRPC's clients refuse some beyond 8 KiB, and nginx in front of it beyond a page."""
FIELD_BYTES = 32
"""What a header counts beside its name and value (RFC 9113, 6.5.2)."""
OTHERS_BYTES = 400
"""Of other headers: status, content-type, what an answer may be compressed with."""


@pytest.mark.parametrize("sign", ALPHABETS.values(), ids=[*ALPHABETS])
async def test_an_error_that_quotes_its_caller_reaches_it(serving: Serving, sign: str) -> None:
    """Whatever its alphabet: with the code that it has, and no other."""
    names = [sign * length for length in (100, 333, 1000, 2000, 100_000)]
    calls = [serving.classifier.Predict(pb.PredictRequest(model=name), timeout=60) for name in names for _ in range(5)]
    calls += [
        serving.classifier.GetModel(pb.GetModelRequest(model=sign * 2000), timeout=60),
        serving.inference.ModelMetadata(inference_pb2.ModelMetadataRequest(name=sign * 2000), timeout=60),
    ]
    ends = await asyncio.gather(*calls, return_exceptions=True)

    assert Counter(end.code() for end in ends if isinstance(end, grpc.aio.AioRpcError)) == {
        grpc.StatusCode.NOT_FOUND: len(calls)
    }


@pytest.mark.parametrize("sign", ALPHABETS.values(), ids=[*ALPHABETS])
async def test_an_error_fits_into_the_headers_of_an_answer(serving: Serving, sign: str) -> None:
    """As its bytes are written there, where one may take three."""
    request = inference_pb2.ModelInferRequest(model_name="tiny", model_version=sign * 3000)
    path = "/inference.GRPCInferenceService/ModelInfer"
    with await asyncio.to_thread(RawCall, int(serving.address.split(":")[1]), path) as call:
        call.send_all(message(request.SerializeToString()))
        code, text = await asyncio.to_thread(call.ended)

    assert code == "3"
    assert text.startswith("expected a version that is a positive integer")
    assert len("grpc-message") + len(text) + FIELD_BYTES + OTHERS_BYTES < HEADERS_BYTES


@pytest.mark.parametrize("sign", ALPHABETS.values(), ids=[*ALPHABETS])
async def test_failures_within_a_stream_are_bounded_too(serving: Serving, sign: str) -> None:
    """No header holds them; nobody needs a text of a megabyte."""
    name = sign * 20_000
    request = pb.PredictStreamRequest(id="7", request=raw(tiny_images(1)[0], model=name))
    inference = inference_pb2.ModelInferRequest(model_name="tiny", model_version=name)
    predicted = [one async for one in serving.classifier.PredictStream(iter([request]), timeout=60)]
    inferred = [one async for one in serving.inference.ModelStreamInfer(iter([inference]), timeout=60)]

    texts = [predicted[0].failure.message, inferred[0].error_message]
    assert all(20 < len(text.encode()) <= MAX_MESSAGE_BYTES + 3 for text in texts)


SIZES = [7] * 1_000_000
UNQUOTED = {
    "shape": pb.PredictRequest(raw=pb.RawImages(pixels=b"", shape=SIZES)),
    "shape of a tensor": inference_pb2.ModelInferRequest(
        raw_input_contents=[b""],
        inputs=[inference_pb2.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=SIZES)],
    ),
    "inputs": inference_pb2.ModelInferRequest(
        inputs=[inference_pb2.ModelInferRequest.InferInputTensor(name="a" * 1000)] * 1000
    ),
    "version": inference_pb2.ModelInferRequest(model_version="a" * 1_000_000),
}


@pytest.mark.parametrize("request_", UNQUOTED.values(), ids=[*UNQUOTED])
async def test_no_error_is_written_as_long_as_what_it_quotes(serving: Serving, request_: Message) -> None:
    """It would be cut in the end, and to write it first would hold up the event loop."""
    table = {method.request: method for method in serving.methods if not method.client_streaming}
    with pytest.raises(InvalidRequest) as failure:
        await table[type(request_)].function(request_, CallContext())

    assert len(str(failure.value)) < 1000
