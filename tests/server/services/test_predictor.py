import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message

from tests.server.services.oip.calls import asking, raw_request, typed_request
from tests.support.loop_lag import Lag, measured_lag
from tests.support.made_up import MadeUp, labelled, serve
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import InvalidRequest, Overloaded
from vouch.server.model.batcher import Limits
from vouch.server.model.session import Outputs
from vouch.server.rpc.context import CallContext
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.oip.service import Inference
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness

CLASSES = 1000
LABELS = [f"label {k}" for k in range(CLASSES)]
MAX_BYTES = 64 << 20
BUSY_S = 0.05
HELD_S = 0.25
"""A thread that held the interpreter for a whole answer would hold it for seconds; other processes hold up any."""
TRIES = 5


class House:
    """Both services over a version of 1,000 classes; counts what the model was given, and what was held then."""

    def __init__(self, path: Path) -> None:
        self.catalog, self.model = Catalog(), MadeUp(CLASSES)
        self.budget = worker_budget(1 << 30)
        self.held: list[dict[str, int]] = []
        self.served = serve(self.catalog, labelled(path, LABELS), self.run, Limits(256, 100_000))
        self.predictor = Predictor(self.catalog, self.decode, 16_384, MAX_BYTES)
        services = (
            Inference(self.catalog, Gate(), Readiness(), self.predictor),
            Classifier(self.catalog, Gate(), self.predictor),
        )
        self.methods = {method.path.split("/")[-1]: method for service in services for method in service.methods()}

    async def decode(self, files: Sequence[bytes], *_: object) -> np.ndarray:
        assert self.budget.held_by_kind()["answers"]
        return np.zeros((len(files), 4, 4), np.uint8)

    def run(self, parts: Sequence[np.ndarray]) -> Outputs:
        self.held.append(self.budget.held_by_kind())
        return self.model(parts)

    async def ask(self, request: Message) -> int:
        """Bytes of the answer."""
        method = self.methods["Predict" if isinstance(request, pb.PredictRequest) else "ModelInfer"]
        assert method.wire is not None
        with Hold(self.budget) as hold:
            parts = method.wire(request.SerializeToString(), CallContext(hold=hold))
            return sum(map(len, parts if isinstance(parts, tuple) else await parts))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.catalog.close()


def predict(count: int, **fields: float) -> pb.PredictRequest:
    raw = pb.RawImages(pixels=bytes(16 * count), shape=[count, 4, 4])
    return pb.PredictRequest(raw=raw, **fields)  # type: ignore[arg-type]


def infer(count: int, top_k: int = 0, typed: bool = False) -> inference_pb2.ModelInferRequest:
    images = np.random.default_rng(0).integers(0, 256, (count, 4, 4), dtype=np.uint8)
    request = typed_request(images) if typed else raw_request(images)
    if top_k:
        classes = inference_pb2.InferParameter(int64_param=top_k)
        request.outputs.append(asking("logits", classification=classes))
    return request


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (predict(16_384, top_k=CLASSES), "the answer to 16,384 images takes at least 243,957,776 bytes"),
        (predict(16_384, top_k=CLASSES), "(top_k=1000), and the limit of a message is 67,108,864"),
        (infer(16_384), "takes at least 131,072,0"),
        (infer(16_384), "(1,000 probabilities for each, 1,000 logits for each)"),
        (infer(16_384, typed=True), "takes at least 131,072,0"),
        (infer(5000, CLASSES), "(1,000 logits for each), and the limit of a message is 67,108,864"),
        (infer(5000, CLASSES, typed=True), "(1,000 logits for each), and the limit of a message is 67,108,864"),
    ],
)
async def test_what_no_message_can_hold_is_refused_before_anything_is_computed(
    house: House, request_: Message, says: str
) -> None:
    """With both sizes, and with what would fit."""
    with pytest.raises(InvalidRequest) as refusal:
        await house.ask(request_)

    assert says in str(refusal.value)
    assert re.search(r"send at most [\d,]+ images in a request", str(refusal.value))
    assert house.model.images == 0


async def test_values_that_would_fill_the_memory_are_refused_though_the_answer_is_short(tmp_path: Path) -> None:
    """The model gives all of them, whatever is asked for."""
    catalog, model = Catalog(), MadeUp(CLASSES)
    serve(catalog, labelled(tmp_path, LABELS), model)
    service = Classifier(catalog, Gate(), Predictor(catalog, House.decode, 16_384, 1 << 20))

    with pytest.raises(InvalidRequest, match="values for 600 images of 1,000 classes take 4,800,000 bytes") as refusal:
        await service.Predict(predict(600), CallContext())

    assert str(refusal.value).endswith("send at most 524 images in a request")
    assert model.images == 0
    assert len((await service.Predict(predict(524), CallContext())).labels) == 524
    await catalog.close()


async def test_label_sets_that_become_too_long_are_refused_while_they_are_written(tmp_path: Path) -> None:
    """How long they are is known only then."""
    catalog = Catalog()
    serve(catalog, labelled(tmp_path, LABELS), MadeUp(CLASSES))
    service = Classifier(catalog, Gate(), Predictor(catalog, House.decode, 16_384, 1 << 20))

    assert (await service.Predict(predict(10, coverage=0.9), CallContext())).set_sizes
    with pytest.raises(InvalidRequest, match="the answer takes more than 1,048,576 bytes, the limit of a message"):
        await service.Predict(predict(400, coverage=0.9), CallContext())
    await catalog.close()


@pytest.mark.parametrize(
    "request_",
    [
        predict(40, top_k=3),
        predict(40, coverage=0.9),
        pb.PredictRequest(encoded=pb.EncodedImages(files=[b"a file", b"another"])),
        infer(40),
        infer(40, 3),
        infer(400, typed=True),
        infer(40, 3, typed=True),
    ],
)
async def test_what_is_made_for_a_prediction_is_held_before_it_is_made(house: House, request_: Message) -> None:
    """The model's values and the answer, never less than it has, also where the request is known by then."""
    for _ in range(2):
        before = house.model.images
        answer_bytes = await house.ask(request_)
        rows_bytes = 2 * 4 * CLASSES * (house.model.images - before)

        assert rows_bytes + answer_bytes <= house.held.pop()["answers"] <= rows_bytes + MAX_BYTES
        assert house.budget.held == 0


async def test_what_there_is_no_room_for_is_not_begun(house: House) -> None:
    """And the next may be."""
    house.budget = worker_budget(64_000)
    with Hold(house.budget) as others:
        others.take("received", 33_000)
        with pytest.raises(Overloaded, match="unwritten answers"):
            await house.ask(predict(3))

    assert house.model.images == 0
    await house.ask(predict(3))
    assert house.model.images == 3


@pytest.mark.parametrize(
    "request_",
    [
        predict(16_384),
        predict(16_384, top_k=200),
        predict(4000, top_k=CLASSES),
        predict(2000, coverage=0.9),
        infer(8000),
        infer(16_384, 30),
        infer(1500, CLASSES, typed=True),
        infer(8000, typed=True),
    ],
    ids=["best", "top 200", "top 1,000", "label sets", "values", "classes", "typed classes", "typed values"],
)
async def test_the_loop_is_never_blocked_by_a_large_prediction(house: House, request_: Message) -> None:
    """Its own work takes no more than 50 ms at a time, and no thread holds the interpreter."""
    await house.ask(predict(1))
    lags: list[Lag] = []
    while not lags or (lags[-1].wall_s > HELD_S and len(lags) < TRIES):
        async with measured_lag() as lag:
            assert await house.ask(request_) > 10_000
        lags.append(lag)

    assert min(lag.busy_s for lag in lags) < BUSY_S
    assert min(lag.wall_s for lag in lags) < HELD_S


async def test_what_a_caller_who_leaves_took_is_given_back(house: House) -> None:
    """While its answer is being written too; the next one is written as ever."""
    leaving = asyncio.create_task(house.ask(predict(4000, top_k=CLASSES)))
    async with asyncio.timeout(60):
        while house.model.images < 4000:
            await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving

    assert house.budget.held == 0
    assert await house.ask(predict(3000, top_k=30)) > 3000 * 30 * 4
