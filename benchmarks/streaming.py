"""Unary calls and streams of one server beside each other: how many single images a second each way of asking gets.

    make streaming          Both transports with one worker, a linear model, batch 1; about three minutes

A stream carries 50 requests, 64 streams are open at once, as 64 unary calls are. Answers are counted by their bytes;
each way of asking is tried once before with its answers looked at. Figures go to docs/measured/streaming.json.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import numpy as np

from benchmarks.contenders import INFER, running, vouch
from benchmarks.h2load import SATURATED, h2load
from benchmarks.questions import Question, question
from benchmarks.runs import keep, machine
from benchmarks.serving import bare_session, say, trained
from vouch.bundle.opening import Bundle, open_bundle
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2

STREAM_LENGTH = 50
INFER_STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
PREDICT, PREDICT_STREAM = "/vouch.v1.Classifier/Predict", "/vouch.v1.Classifier/PredictStream"
TRANSPORTS = ("grpcio", "h2corn")


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
        """To one call."""
        with grpc.insecure_channel(address) as channel:
            if len(self.messages) == 1:
                unary: Any = channel.unary_unary(self.path)
                return [unary(self.messages[0], timeout=30)]
            stream: Any = channel.stream_stream(self.path)
            return list(stream(iter(self.messages), timeout=30))


@dataclass(frozen=True)
class Row:
    """One load."""

    transport: str
    way: str
    round: int
    answers_a_second: float
    failed: int


def main() -> int:
    """Runs the whole; returns 1 where an answer was wrong or missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--bundle", type=Path, help="a published bundle in place of one that is trained now")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = open_bundle(arguments.bundle) if arguments.bundle else trained("linear", arguments.data, Path(folder))
        asked = question(bundle, bare_session(bundle), 1)
        for number in range(arguments.rounds):
            for transport in TRANSPORTS:
                rows += measured(transport, bundle, asked, number, arguments.seconds)
    keep("streaming", {"machine": machine(), "rows": [asdict(row) for row in rows]})
    print(table(rows))
    return 1 if any(row.failed for row in rows) else 0


def measured(transport: str, bundle: Bundle, asked: Question, number: int, seconds: float) -> Iterable[Row]:
    """Every way of asking, one after the other, of one server; there in even rounds, back in odd ones.

    Raises:
        RuntimeError: an answer is wrong, or one is missing.
    """
    expected = bundle.manifest.labels[asked.labels[0]]
    with running(vouch(transport, 1), bundle.path, asked.message) as server:
        for way in ways(bundle, asked)[:: -1 if number % 2 else 1]:
            answers = way.answers(server.address)
            if [way.label(answer) for answer in answers] != [expected] * len(way.messages):
                raise RuntimeError(f"{way.name} over {transport} answers wrong")
            loaded = h2load(server.address, way.path, way.messages, SATURATED, seconds)
            speed = loaded.data_bytes / (len(answers[0]) + 5) / seconds
            say(f"{transport}, round {number + 1}, {way.name}: {speed:,.0f} answers a second")
            yield Row(transport, way.name, number, speed, loaded.failed)


def ways(bundle: Bundle, asked: Question) -> list[Way]:
    """The same image, asked about in every way."""
    labels = bundle.manifest.labels
    raw = classifier_pb2.RawImages(pixels=asked.images.tobytes(), shape=asked.images.shape)
    predict = classifier_pb2.PredictRequest(model=bundle.manifest.name, raw=raw)
    named = tuple(
        classifier_pb2.PredictStreamRequest(id=f"{number:04}", request=predict).SerializeToString()
        for number in range(STREAM_LENGTH)
    )

    def inferred(answer: inference_pb2.ModelInferResponse) -> str:
        place = [tensor.name for tensor in answer.outputs].index("probabilities")
        return labels[int(np.frombuffer(answer.raw_output_contents[place], np.float32).argmax())]

    return [
        Way(INFER, (asked.message,), lambda answer: inferred(inference_pb2.ModelInferResponse.FromString(answer))),
        Way(
            PREDICT,
            (predict.SerializeToString(),),
            lambda answer: classifier_pb2.PredictResponse.FromString(answer).labels[0],
        ),
        Way(
            PREDICT_STREAM,
            named,
            lambda answer: classifier_pb2.PredictStreamResponse.FromString(answer).response.labels[0],
        ),
        Way(
            INFER_STREAM,
            (asked.message,) * STREAM_LENGTH,
            lambda answer: inferred(inference_pb2.ModelStreamInferResponse.FromString(answer).infer_response),
        ),
    ]


def table(rows: list[Row]) -> str:
    """Medians over the rounds, and medians of the rounds' ratios, as Markdown."""
    names = list(dict.fromkeys(row.way for row in rows))
    lines = [
        f"| answers a second | {' | '.join(names)} | Predict / ModelInfer | PredictStream / Predict |",
        "|---|" + "---|" * (len(names) + 2),
    ]
    for transport in dict.fromkeys(row.transport for row in rows):
        speeds = {
            name: [row.answers_a_second for row in rows if (row.transport, row.way) == (transport, name)]
            for name in names
        }
        cells = [f"{median(speeds[name]):,.0f}" for name in names]
        for one, other in (("Predict", "ModelInfer"), ("PredictStream", "Predict")):
            cells.append(f"{median(a / b for a, b in zip(speeds[one], speeds[other], strict=True)):.2f}")
        lines.append(f"| {transport}, 1 worker | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", machine()])


if __name__ == "__main__":
    sys.exit(main())
