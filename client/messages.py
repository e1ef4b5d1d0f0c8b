"""Between what a caller has and what goes over the wire. Pure: no channel, no clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import grpc
import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveats import Caveat
from vouch.bundle.manifest import Calibration, Coverage
from vouch.bundle.multi_label import Task
from vouch.bundle.pixel_settings import ALL_BITS, FIRST_RULES, RULES, WHITE, PixelSettings
from vouch.client.errors import CallFailed
from vouch.client.images import Content
from vouch.protos.vouch.v1 import classifier_pb2 as pb

STATUS_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for."""

    label: str
    probability: float
    """0 to 1."""
    top: tuple[tuple[str, float], ...]
    """The most probable classes with their probabilities, in falling order; as many as were asked for."""
    label_set: tuple[str, ...] | None = None
    """With a coverage asked for: the classes that contain the truth so often, the most probable first. From a
    multi-label model always: the labels from their thresholds on, perhaps none. Otherwise None."""


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
class Model:
    """What a server says of a model."""

    name: str
    state: str
    """`serving`, `verifying` or `refused`."""
    version: int
    """0, and the fields down to `served` empty, while none is served."""
    labels: tuple[str, ...]
    input_shape: tuple[int, ...]
    digest: str
    claim: Accuracy | None
    served: Accuracy | None
    refusals: tuple[tuple[int, str], ...]
    """Versions that are not served, with the reasons."""
    calibration: Calibration | None = None
    """None where the bundle has none."""
    task: Task = "single_label"
    """Whether an image has exactly one of the labels, or any number of them."""
    thresholds: tuple[float, ...] = ()
    """Multi-label: for each label the probability from which on it is answered."""
    baseline: Accuracy | None = None
    """What always answering the commonest class, or set of labels, gets right; None where the server does not say."""
    caveats: tuple[Caveat, ...] = ()
    """What the figures say against the model; none of a good one."""
    pixels: PixelSettings | None = None
    """What an image file becomes; None while no version is served, or where its rules are not known here."""


@dataclass(frozen=True)
class Evaluation:
    """A claim and its recount through the path that serves."""

    model: str
    version: int
    claim: Accuracy
    served: Accuracy


def predict_request(
    images: Content, model: str, version: int = 0, top_k: int = 1, coverage: float = 0.0
) -> pb.PredictRequest:
    """The message that asks for predictions of N images."""
    request = pb.PredictRequest(model=model, version=version, top_k=top_k, coverage=coverage)
    if isinstance(images, np.ndarray):
        request.raw.pixels = images.tobytes()
        request.raw.shape.extend(images.shape)
    else:
        request.encoded.files.extend(images)
    return request


def read_predictions(response: pb.PredictResponse) -> Predictions:
    """The columns of a response, image by image."""
    pairs = list(zip(response.labels, response.probabilities, strict=True))
    rows = [tuple(pairs[start : start + response.top_k]) for start in range(0, len(pairs), response.top_k)]
    members = iter(response.set_labels)
    sets: list[tuple[str, ...] | None] = [tuple(islice(members, size)) for size in response.set_sizes]
    items = tuple(
        Prediction(*row[0], row, label_set) for row, label_set in zip(rows, sets or [None] * len(rows), strict=True)
    )
    return Predictions(response.model, response.version, items)


def read_answer(answer: pb.PredictStreamResponse, server: str) -> Predictions | CallFailed:
    """What a stream answered to one of its requests."""
    if answer.WhichOneof("result") == "failure":
        code = STATUS_CODES[answer.failure.code]
        message = answer.failure.message
        return CallFailed(f"{server} answered {code.name}: {message}", code, message)
    return read_predictions(answer.response)


def read_model(model: pb.Model) -> Model:
    """A model's message as values."""
    return Model(
        name=model.name,
        state=pb.State.Name(model.state).removeprefix("STATE_").lower(),
        version=model.version,
        labels=tuple(model.labels),
        input_shape=tuple(model.input_shape),
        digest=model.digest,
        claim=read_accuracy(model.claim) if model.HasField("claim") else None,
        served=read_accuracy(model.served) if model.HasField("served") else None,
        refusals=tuple((refusal.version, refusal.reason) for refusal in model.refusals),
        calibration=read_calibration(model.calibration) if model.HasField("calibration") else None,
        task="multi_label" if model.task == pb.TASK_MULTI_LABEL else "single_label",
        thresholds=tuple(model.thresholds),
        baseline=read_accuracy(model.baseline) if model.HasField("baseline") else None,
        caveats=tuple(Caveat(caveat.kind, caveat.text) for caveat in model.caveats),
        pixels=read_pixels(model) if model.input_shape else None,
    )


def read_pixels(model: pb.Model) -> PixelSettings | None:
    """What files become; a server that says nothing of it knows the first rules alone. None: rules unknown here."""
    rules, said = FIRST_RULES, model.decoding
    if model.HasField("decoding"):
        rules = said.rules
    if rules > RULES:
        return None
    height, width, *channels = model.input_shape
    return PixelSettings(
        rules=rules,
        height=height,
        width=width,
        channels=channels[0] if channels else None,
        bits=said.bits or ALL_BITS,
        ground=said.ground or WHITE,
    )


def read_calibration(message: pb.Calibration) -> Calibration:
    """How far the probabilities can be relied on, as the bundle has it."""
    return Calibration(
        temperature=message.temperature,
        error_before=message.error_before,
        error_after=message.error_after,
        coverages=tuple(
            Coverage(
                promised=one.promised,
                threshold=one.threshold,
                covered=one.covered,
                total=one.total,
                mean_size=one.mean_size,
            )
            for one in message.coverages
        ),
    )


def read_evaluation(response: pb.EvaluateResponse) -> Evaluation:
    """A recount so far."""
    return Evaluation(response.model, response.version, read_accuracy(response.claim), read_accuracy(response.served))


def read_accuracy(message: pb.Accuracy) -> Accuracy:
    """A count; its interval follows from it."""
    return Accuracy(correct=message.correct, total=message.total)
