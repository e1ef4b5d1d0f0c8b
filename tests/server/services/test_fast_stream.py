import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lineups import Published
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import UNBOUNDED, Budget, Hold, worker_budget
from vouch.server.errors import InvalidRequest, ModelFailed
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import Outputs, open_session
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.decoder import Decoder
from vouch.server.services.oip.service import END_STREAM_BY_ERROR, Inference
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served

IMAGES = tiny_images(60)[0]


class House:
    """Both services over one catalog; counts the model's runs, and fails those that begin with a black image."""

    def __init__(self, folder: Path, inline_images: int) -> None:
        bundle = publish_tiny(ModelsFolder(folder))
        session = open_session(bundle.read_model(), "cpu", 1)
        self.runs: list[int] = []

        def run(parts: Sequence[np.ndarray]) -> Outputs:
            images = np.concatenate(parts)
            self.runs.append(len(images))
            if not images[0].any():
                raise ModelFailed("black")
            return session.run(parts)

        self.catalog = Catalog()
        Published(self.catalog).serve(
            Served(bundle, bundle.manifest.claim.accuracy, start_batcher(run, Limits(64, 1000, inline_images)))
        )
        self.decoder = Decoder(1, 100)
        predictor = Predictor(self.catalog, self.decoder.decode, 1000, 1 << 20)
        services = (
            Inference(self.catalog, Gate(), Readiness(), predictor),
            Classifier(self.catalog, Gate(), predictor),
        )
        methods = {method.path.split("/")[-1]: method for service in services for method in service.methods()}
        self.infer, self.predict = methods["ModelStreamInfer"], methods["PredictStream"]

    async def close(self) -> None:
        self.decoder.close()
        await self.catalog.close()


@pytest.fixture(params=[0, 64])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Where no request is answered at once, and where all are."""
    house = House(tmp_path, request.param)
    yield house
    await house.close()


class Sending:
    """A caller of these headers."""

    peer = "here"

    def __init__(self, metadata: dict[str, str | bytes]) -> None:
        self._metadata = metadata

    def headers(self, name: str) -> tuple[str | bytes, ...]:
        return (self._metadata[name],) if name in self._metadata else ()


async def fast(
    method: Method, *pieces: Sequence[bytes], metadata: dict[str, str | bytes] | None = None, budget: Budget = UNBOUNDED
) -> list[Message]:
    """The answers, from and to bytes."""

    async def arriving() -> AsyncIterator[Sequence[bytes]]:
        for piece in pieces:
            yield piece

    assert method.wire_stream is not None
    context = CallContext(caller=Sending(metadata or {}), hold=Hold(budget))
    return [
        method.response.FromString(b"".join(parts))
        async for ready in method.wire_stream(arriving(), context)
        for parts in ready
    ]


async def slow(method: Method, requests: Sequence[Message]) -> list[Message]:
    """The answers of the function from message to message."""

    async def arriving() -> AsyncIterator[Message]:
        for request in requests:
            yield request

    return [response async for response in method.function(arriving(), CallContext())]


def predict(images: np.ndarray, name: str = "", **fields: float | str) -> pb.PredictStreamRequest:
    raw = pb.RawImages(pixels=images.tobytes(), shape=images.shape)
    return pb.PredictStreamRequest(id=name, request=pb.PredictRequest(raw=raw, **fields))  # type: ignore[arg-type]


def infer(images: np.ndarray, **fields: str) -> inference_pb2.ModelInferRequest:
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=images.shape)
    return inference_pb2.ModelInferRequest(
        inputs=[tensor],
        raw_input_contents=[images.tobytes()],
        **{"model_name": "tiny", **fields},  # type: ignore[arg-type]
    )


PREDICTIONS = [
    predict(IMAGES[:1], "a"),
    predict(IMAGES[1:4], "b", top_k=2),
    predict(IMAGES[:2], "c", model="other"),  # a failure of its own
    predict(IMAGES[:1]),
    predict(IMAGES[5:6], "\u00fcber"),
    predict(IMAGES[:2], "e", coverage=0.9),
    predict(np.zeros_like(IMAGES[:1]), "f", top_k=1),
    predict(IMAGES[:1, :2], "g"),
    pb.PredictStreamRequest(id="h"),
    predict(IMAGES[7:9], "i"),
]
INFERENCES = [
    infer(IMAGES[:1]),
    infer(IMAGES[1:4], id="named"),
    infer(IMAGES[:2], model_name="other"),
    infer(IMAGES[:1, :2]),
    infer(IMAGES[4:9]),
]


@settings(max_examples=40, deadline=None)
@given(
    chosen=st.lists(st.sampled_from([one for one in PREDICTIONS if one.id != "f"]), max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
    at_once=st.sampled_from([0, 3, 64]),
)
def test_any_mix_in_any_pieces_is_answered_as_the_slow_way_does(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[pb.PredictStreamRequest], cuts: list[int], at_once: int
) -> None:
    """In the order of the requests, with their ids; probabilities within 1e-5."""

    async def ask() -> tuple[list[Message], list[Message]]:
        house = House(tmp_path_factory.mktemp("models"), at_once)
        whole = [request.SerializeToString() for request in chosen]
        edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
        pieces = [whole[start:stop] for start, stop in pairwise(edges)]
        answers = await fast(house.predict, *pieces), await slow(house.predict, chosen)
        await house.close()
        return answers

    quickly, slowly = asyncio.run(ask())
    assert [rounded(answer) for answer in quickly] == [rounded(answer) for answer in slowly]


def rounded(answer: Message) -> tuple[object, ...]:
    assert isinstance(answer, pb.PredictStreamResponse)
    probabilities = [round(value, 5) for value in answer.response.probabilities]
    plain = pb.PredictStreamResponse.FromString(answer.SerializeToString())
    plain.response.ClearField("probabilities")
    return plain.SerializeToString(deterministic=True), probabilities


async def test_what_comes_together_runs_together(tmp_path: Path) -> None:
    """Many messages of one piece are one run of a fast model."""
    house = House(tmp_path, 64)
    piece = [predict(IMAGES[at : at + 1], str(at)).SerializeToString() for at in range(30)]

    answers = await fast(house.predict, piece)

    assert [answer.id for answer in answers if isinstance(answer, pb.PredictStreamResponse)] == list(
        map(str, range(30))
    )
    assert house.runs == [30]
    await house.close()


async def test_an_open_inference_stream_is_answered_as_the_slow_way_does(house: House) -> None:
    """Values, errors and the mark of the last response alike."""
    quickly = await fast(house.infer, [request.SerializeToString() for request in INFERENCES])

    assert quickly == await slow(house.infer, INFERENCES)


async def test_a_run_that_fails_is_the_answer_of_those_who_were_in_it(house: House) -> None:
    """And the stream goes on."""
    black, good = predict(np.zeros_like(IMAGES[:1]), "black"), predict(IMAGES[:1], "good")

    answers = await fast(house.predict, [black.SerializeToString()], [good.SerializeToString()])
    later = await fast(house.predict, [good.SerializeToString()])

    assert all(isinstance(answer, pb.PredictStreamResponse) for answer in answers)
    assert [answer.id for answer in answers] == ["black", "good"]  # type: ignore[attr-defined]
    assert answers[0].failure.code == 13  # type: ignore[attr-defined]
    assert later[0].HasField("response")


async def test_a_failed_run_ends_an_open_inference_stream_where_its_caller_wants_that(house: House) -> None:
    """As Triton does under this header; otherwise it is a message."""
    black = [infer(np.zeros_like(IMAGES[:1])).SerializeToString()]

    (told,) = await fast(house.infer, black)
    with pytest.raises(ModelFailed):
        await fast(house.infer, black, metadata={END_STREAM_BY_ERROR: "true"})
    assert isinstance(told, inference_pb2.ModelStreamInferResponse)
    assert told.error_message


async def test_bytes_that_are_no_message_end_the_stream_after_the_answers_before_them(house: House) -> None:
    """Whatever else was in their piece."""
    assert house.predict.wire_stream is not None
    given_answers: list[Message] = []

    async def arriving() -> AsyncIterator[Sequence[bytes]]:
        yield [predict(IMAGES[:1], "a").SerializeToString(), b"\xff\xff"]

    async def take() -> None:
        assert house.predict.wire_stream is not None
        async for ready in house.predict.wire_stream(arriving(), CallContext()):
            given_answers.extend(pb.PredictStreamResponse.FromString(b"".join(parts)) for parts in ready)

    with pytest.raises(InvalidRequest):
        await take()
    assert [answer.id for answer in given_answers] == ["a"]  # type: ignore[attr-defined]


async def test_answers_are_counted_when_they_have_gone_out(house: House) -> None:
    """The next ones are asked for then; those that a caller left behind are none."""
    served = next(iter(house.catalog.entries())).served
    assert house.predict.wire_stream is not None
    assert served is not None

    async def arriving() -> AsyncIterator[Sequence[bytes]]:
        for name in "abc":
            yield [predict(IMAGES[:1], name).SerializeToString()]

    def counted() -> int:
        codes = served.statistics.requests.methods.get(house.predict.path, {})
        return sum(sum(times.buckets) for times in codes.values())

    answers = house.predict.wire_stream(arriving(), CallContext())
    await anext(answers)
    at_first = counted()
    async for _ in answers:
        pass
    in_the_end = counted()
    left = house.predict.wire_stream(arriving(), CallContext())
    await anext(left)
    await left.aclose()

    assert (at_first, in_the_end, counted()) == (0, 3, 3)


@pytest.mark.parametrize("encoded", [False, True], ids=["known", "others"])
async def test_what_there_is_no_room_for_is_that_requests_answer(house: House, encoded: bool) -> None:
    """The stream goes on, and holds nothing in the end."""
    budget, many = worker_budget(16_000), np.tile(IMAGES, (10, 1, 1))
    large = predict(many, "large")
    if encoded:
        large.request.encoded.files.extend([b"no image, of which nothing is read"] * len(many))
    requests = [predict(IMAGES[:1], "first"), large, predict(IMAGES[:1], "last")]

    for _ in range(2):
        answers: Any = await fast(house.predict, [one.SerializeToString() for one in requests], budget=budget)

        assert [(answer.id, answer.WhichOneof("result")) for answer in answers] == [
            ("first", "response"),
            ("large", "failure"),
            ("last", "response"),
        ]
        assert "can never fit" in answers[1].failure.message
        assert budget.held == 0
