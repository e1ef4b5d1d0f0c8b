"""Converts between the caller's values and protobuf messages. Pure: no channel, no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import grpc
import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.client.errors import CallFailed
from vouch.client.images import Content
from vouch.client.models import read_accuracy
from vouch.protos.vouch.v1 import classifier_pb2 as pb

STATUS_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Prediction:
    """The answer to one image."""

    label: str
    probability: float
    """0 to 1."""
    top: tuple[tuple[str, float], ...]
    """The `top_k` most probable classes with their probabilities, in descending order."""
    label_set: tuple[str, ...] | None = None
    """If the request has a coverage: the classes that contain the right label this often, the most probable first. From
    a multi-label model: all labels that reach their thresholds, possibly none. Otherwise None."""


@dataclass(frozen=True)
class Predictions:
    """The answers to one request, in the order of its images."""

    model: str
    version: int
    items: tuple[Prediction, ...]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Prediction:
        return self.items[row]


@dataclass(frozen=True)
class Evaluation:
    """A claim, and its recount through the path that serves."""

    model: str
    version: int
    claim: Accuracy
    served: Accuracy


def predict_request(
    images: Content, model: str, version: int = 0, top_k: int = 1, coverage: float = 0.0
) -> pb.PredictRequest:
    """The request for predictions of N images."""
    request = pb.PredictRequest(model=model, version=version, top_k=top_k, coverage=coverage)
    if isinstance(images, np.ndarray):
        request.raw.pixels = images.tobytes()
        request.raw.shape.extend(images.shape)
    else:
        request.encoded.files.extend(images)
    return request


def read_predictions(response: pb.PredictResponse) -> Predictions:
    """A response's columns as one prediction per image."""
    pairs = list(zip(response.labels, response.probabilities, strict=True))
    rows = [tuple(pairs[start : start + response.top_k]) for start in range(0, len(pairs), response.top_k)]
    members = iter(response.set_labels)
    sets: list[tuple[str, ...] | None] = [tuple(islice(members, size)) for size in response.set_sizes]
    items = tuple(
        Prediction(*row[0], row, label_set) for row, label_set in zip(rows, sets or [None] * len(rows), strict=True)
    )
    return Predictions(response.model, response.version, items)


def read_answer(answer: pb.PredictStreamResponse, server: str) -> Predictions | CallFailed:
    """A stream's answer to one of its requests."""
    if answer.WhichOneof("result") == "failure":
        code = STATUS_CODES[answer.failure.code]
        message = answer.failure.message
        return CallFailed(f"{server} answered {code.name}: {message}", code, message)
    return read_predictions(answer.response)


def read_evaluation(response: pb.EvaluateResponse) -> Evaluation:
    """The recount so far, from its message."""
    return Evaluation(response.model, response.version, read_accuracy(response.claim), read_accuracy(response.served))
