"""Answers larger than are sent, through the real services over every transport, fast paths included."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from tests.server.services.classifier.calls import raw, refusal
from tests.support.serving import Serving, Start
from tests.support.tiny import publish_tiny, tiny_images
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.transport.limits import Listening

CLASSIFIER, INFERENCE = "/vouch.v1.Classifier", "/inference.GRPCInferenceService"
WITHIN_S = 30


async def answers(port: int, path: str, *requests: Message) -> list[bytes]:
    """Of a stream to another port of the same services."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream: Any = channel.stream_stream(path)
        return [
            answer async for answer in stream(iter([one.SerializeToString() for one in requests]), timeout=WITHIN_S)
        ]


def infer(images: int, top_k: int = 0) -> inference_pb2.ModelInferRequest:
    """Raw, and so the fast way; by rank it goes the long one."""
    pixels = tiny_images(images)[0]
    request = inference_pb2.ModelInferRequest(model_name="tiny", raw_input_contents=[pixels.tobytes()])
    request.inputs.add(name="images", datatype="UINT8", shape=pixels.shape)
    if top_k:
        output = request.outputs.add(name="probabilities")
        output.parameters["classification"].int64_param = top_k
    return request


@dataclass(frozen=True)
class Case:
    """A stream of predictions, whose answers for `LARGE` images are over the limit, and how each answer tells it."""

    path: str
    request: Callable[[int], Message]
    failure: Callable[[bytes], str]
    """Of an answer; empty where it is a prediction."""


def in_a_stream(images: int) -> pb.PredictStreamRequest:
    return pb.PredictStreamRequest(id="7", request=raw(tiny_images(images)[0], top_k=3))


def failed(answer: bytes) -> str:
    told = pb.PredictStreamResponse.FromString(answer)
    assert told.id == "7"
    return f"{told.failure.code}: {told.failure.message}" if told.failure.code else ""


def failed_inference(answer: bytes) -> str:
    return inference_pb2.ModelStreamInferResponse.FromString(answer).error_message


STREAMED = 8_000
"""Bytes of the limit; 400 images have 6,400, and what is answered to them has more."""
LARGE = 400
CASES = {
    "Predict": Case(f"{CLASSIFIER}/PredictStream", in_a_stream, failed),
    "values": Case(f"{INFERENCE}/ModelStreamInfer", infer, failed_inference),
    "ranks": Case(f"{INFERENCE}/ModelStreamInfer", partial(infer, top_k=3), failed_inference),
}


@pytest.mark.parametrize("inline_images", [0, 500], ids=["queued", "on the loop"])
@pytest.mark.parametrize("case", CASES.values(), ids=[*CASES])
async def test_an_answer_over_the_limit_fails_alone_in_a_stream(
    serving: Serving, start: Start, inline_images: int, case: Case
) -> None:
    """As failure of that request, which names both sizes; those around it are answered, and each counts as it ended."""
    serving.inline_images = inline_images
    serving.install(publish_tiny(serving.folder))
    listener = await start(serving.methods, serving.gate, Listening(max_message_bytes=STREAMED))
    told = [case.failure(one) for one in await answers(listener.port, case.path, *map(case.request, (1, LARGE, 2)))]
    await listener.stop()

    assert (told[0], told[2], len(told)) == ("", "", 3)
    assert re.search(r"the answer has [\d,]+ bytes, and the limit is 8,000; request less at a time$", told[1])
    name = case.path.split("/")[-1]
    assert serving.ended() == {(name, "OK"): 2, (name, "RESOURCE_EXHAUSTED"): 1}


@pytest.mark.parametrize("inline_images", [0, 500], ids=["queued", "on the loop"])
async def test_an_answer_over_the_limit_is_refused_on_the_fast_path_too(
    serving: Serving, start: Start, inline_images: int
) -> None:
    """Before it is sent; counted with the version that answered."""
    serving.inline_images = inline_images
    serving.install(publish_tiny(serving.folder))
    listener = await start(serving.methods, serving.gate, Listening(max_message_bytes=STREAMED))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
        predict: Any = channel.unary_unary(f"{CLASSIFIER}/Predict")
        request = raw(tiny_images(LARGE)[0], top_k=3).SerializeToString()
        ends = [await refusal(predict(request, timeout=WITHIN_S)) for _ in range(2)]
    await listener.stop()

    assert {code for code, _ in ends} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert "the limit is 8,000" in ends[0][1]
    assert serving.ended() == {("Predict", "RESOURCE_EXHAUSTED"): 2}
