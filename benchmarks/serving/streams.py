"""Unary calls and streams of one server: single images per second for each method.

A stream carries 50 requests; 64 streams are open at the same time, like 64 unary calls. Answers are counted by their
bytes; before that, each method is called once and its answers are checked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from benchmarks.serving.asking import INFER
from benchmarks.serving.contenders import STARTS, Contender, running
from benchmarks.serving.h2load import SATURATED, WARM_UP_S, h2load
from benchmarks.serving.questions import FRAME_BYTES, Question
from benchmarks.serving.rows import StreamRow, say
from vouch.bundle.opening import Bundle
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2

STREAM_LENGTH = 50
INFER_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
PREDICT, PREDICT_STREAM = "/vouch.v1.Classifier/Predict", "/vouch.v1.Classifier/PredictStream"


@dataclass(frozen=True)
class Way:
    """A way of asking."""

    path: str
    messages: tuple[bytes, ...]
    """Of one call."""
    label: Callable[[bytes], str]
    """What an answer says of its image."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def answers(self, address: str) -> list[bytes]:
        """To one call. Raises grpc.RpcError."""
        with grpc.insecure_channel(address) as channel:
            if len(self.messages) == 1:
                unary: Any = channel.unary_unary(self.path)
                return [unary(self.messages[0], timeout=30)]
            stream: Any = channel.stream_stream(self.path)
            return list(stream(iter(self.messages), timeout=30))


def streamed(contender: Contender, bundle: Bundle, asked: Question, number: int, seconds: float) -> Iterator[StreamRow]:
    """Every way of asking that this server knows, one after the other; there in even rounds, back in odd ones."""
    expected = bundle.manifest.labels[asked.labels[0]]
    chosen = open_inference(bundle, asked)
    chosen += classifier(bundle, asked) if contender.name.startswith("Vouch") else []
    problem = ""
    for _ in range(STARTS):
        try:
            with running(contender, bundle.path, asked.message) as server:
                ways = chosen[:: -1 if number % 2 else 1]
                yield from [_counted(server.address, contender.name, way, number, seconds, expected) for way in ways]
                return
        except (RuntimeError, grpc.RpcError) as err:
            problem = str(err)
            say(f"{contender.name}, streams: {problem}")
    yield StreamRow(contender.name, "ModelInfer", number, 0.0, problem)


def _counted(address: str, name: str, way: Way, number: int, seconds: float, expected: str) -> StreamRow:
    """One load."""
    answers = way.answers(address)
    wrong = [way.label(answer) for answer in answers] != [expected] * len(way.messages)
    loaded = h2load(address, way.path, way.messages, SATURATED, seconds)
    speed = loaded.data_bytes / (len(answers[0]) + FRAME_BYTES) / (WARM_UP_S + seconds)
    found = ["wrong answers"] * wrong + [f"{loaded.failed} failed"] * bool(loaded.failed)
    say(f"{name}, round {number + 1}, {way.name}: {speed:,.0f} answers a second {found or ''}")
    return StreamRow(name, way.name, number, speed, "; ".join(found))


def classifier(bundle: Bundle, asked: Question) -> list[Way]:
    """By Vouch's own service."""
    raw = classifier_pb2.RawImages(pixels=asked.images.tobytes(), shape=asked.images.shape)
    predict = classifier_pb2.PredictRequest(model=bundle.manifest.name, raw=raw)
    named = tuple(
        classifier_pb2.PredictStreamRequest(id=f"{number:04}", request=predict).SerializeToString()
        for number in range(STREAM_LENGTH)
    )

    def predicted(answer: bytes) -> str:
        return str(classifier_pb2.PredictResponse.FromString(answer).labels[0])

    def streamed_back(answer: bytes) -> str:
        return str(classifier_pb2.PredictStreamResponse.FromString(answer).response.labels[0])

    return [
        Way(PREDICT, (predict.SerializeToString(),), predicted),
        Way(PREDICT_STREAM, named, streamed_back),
    ]


def open_inference(bundle: Bundle, asked: Question) -> list[Way]:
    """By Open Inference, with Triton's streams."""

    def inferred(answer: inference_pb2.ModelInferResponse) -> str:
        place = [tensor.name for tensor in answer.outputs].index("probabilities")
        return bundle.manifest.labels[int(np.frombuffer(answer.raw_output_contents[place], np.float32).argmax())]

    def unary(answer: bytes) -> str:
        return inferred(inference_pb2.ModelInferResponse.FromString(answer))

    def streamed_back(answer: bytes) -> str:
        return inferred(inference_pb2.ModelStreamInferResponse.FromString(answer).infer_response)

    return [
        Way(INFER, (asked.message,), unary),
        Way(INFER_STREAM, (asked.message,) * STREAM_LENGTH, streamed_back),
    ]
