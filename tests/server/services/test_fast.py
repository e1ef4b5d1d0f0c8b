import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lineups import Published
from tests.support.tiny import ROTATED, publish_tiny, tiny_graph, tiny_images
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2
from vouch.server.errors import InvalidRequest, UnknownModel
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.fast import MAX_KNOWN
from vouch.server.rpc.method import Method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.decoder import Decoder
from vouch.server.services.oip.service import Inference
from vouch.server.services.predictor import Predictor, UnaryPath
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served

IMAGES = tiny_images(60)[0]
MAX_REQUEST_IMAGES = 50


class House:
    """Both services over one catalog, as functions from request to response, the fast way and the slow."""

    def __init__(self, folder: Path, inline_images: int) -> None:
        self.folder = ModelsFolder(folder)
        self.inline_images = inline_images
        self.catalog = Catalog()
        self._published = Published(self.catalog)
        self.decoder = Decoder(1, 100)
        predictor = Predictor(self.catalog, self.decoder.decode, MAX_REQUEST_IMAGES, 1 << 20)
        services = (
            Inference(self.catalog, Gate(), Readiness(), predictor),
            Classifier(self.catalog, Gate(), predictor),
        )
        methods = {method.path.split("/")[-1]: method for service in services for method in service.methods()}
        self.infer, self.predict = methods["ModelInfer"], methods["Predict"]
        self.install(publish_tiny(self.folder))

    def install(self, bundle: Bundle) -> None:
        session = open_session(bundle.read_model(), "cpu", 1)
        batcher = start_batcher(session.run, Limits(16, 1000, self.inline_images))
        self._published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher))

    async def close(self) -> None:
        self.decoder.close()
        await self.catalog.close()


@pytest.fixture(params=[0, 8])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[House]":  # type: ignore[misc]
    """Where no request is answered at once, and where those of up to 8 images are."""
    house = House(tmp_path, request.param)
    yield house
    await house.close()


async def fast(method: Method, request: Message, context: CallContext | None = None) -> Message:
    return method.response.FromString(await answer(method, request.SerializeToString(), context))


async def answer(method: Method, request: bytes, context: CallContext | None = None) -> bytes:
    assert method.wire is not None
    parts = method.wire(request, context or CallContext())
    return b"".join(parts if isinstance(parts, tuple) else await parts)


async def slow(method: Method, request: Message) -> Message:
    response: Message = await method.function(request, CallContext())
    return response


def infer(images: np.ndarray, outputs: tuple[str, ...] = (), **fields: str) -> inference_pb2.ModelInferRequest:
    tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=images.shape)
    wanted = [inference_pb2.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs]
    return inference_pb2.ModelInferRequest(
        inputs=[tensor],
        outputs=wanted,
        raw_input_contents=[images.tobytes()],
        **{"model_name": "tiny", **fields},  # type: ignore[arg-type]
    )


def predict(images: np.ndarray, **fields: float | str) -> classifier_pb2.PredictRequest:
    raw = classifier_pb2.RawImages(pixels=images.tobytes(), shape=images.shape)
    return classifier_pb2.PredictRequest(raw=raw, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "request_",
    [
        infer(IMAGES[:1]),
        infer(IMAGES[:20]),
        infer(IMAGES[:3], ("logits",)),
        infer(IMAGES[:3], ("logits", "probabilities")),
        infer(IMAGES[:3], model_version="1"),
        infer(IMAGES[:3], id="seven"),
        predict(IMAGES[:1]),
        predict(IMAGES[:20], model="tiny"),
        predict(IMAGES[:3], top_k=2),
        predict(IMAGES[:3], top_k=99, version=1),
        predict(IMAGES[:3], coverage=0.9),
    ],
)
async def test_it_answers_as_the_slow_path(house: House, request_: Message) -> None:
    """The same message, the first time and when its kind is known."""
    method = house.infer if isinstance(request_, inference_pb2.ModelInferRequest) else house.predict
    expected = await slow(method, request_)

    assert [await fast(method, request_) for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (infer(IMAGES[:1], model_name="other"), UnknownModel),
        (infer(IMAGES), InvalidRequest),
        (infer(IMAGES[:, :2]), InvalidRequest),
        (infer(IMAGES[:1], ("other",)), InvalidRequest),
        (inference_pb2.ModelInferRequest(model_name="tiny"), InvalidRequest),
        (predict(IMAGES[:1], version=9), UnknownModel),
        (predict(IMAGES[:, :2]), InvalidRequest),
        (predict(IMAGES[:1], coverage=0.123), InvalidRequest),
        (classifier_pb2.PredictRequest(), InvalidRequest),
    ],
)
async def test_what_is_wrong_is_said_by_the_slow_path(house: House, request_: Message, error: type[Exception]) -> None:
    """In the same words."""
    method = house.infer if isinstance(request_, inference_pb2.ModelInferRequest) else house.predict
    with pytest.raises(error) as slowly:
        await slow(method, request_)

    with pytest.raises(error) as quickly:
        await fast(method, request_)
    assert str(quickly.value) == str(slowly.value)


async def test_pixels_of_another_length_than_their_kind_has_are_an_error(house: House) -> None:
    """What surrounds them is known, and they are too few all the same."""
    await fast(house.infer, infer(IMAGES[:2]))
    short = infer(IMAGES[:2])
    short.raw_input_contents[0] = short.raw_input_contents[0][:-1]

    with pytest.raises(InvalidRequest, match="expected 32 bytes of pixels"):
        await fast(house.infer, short)


async def test_bytes_that_are_no_message_are_an_error(house: House) -> None:
    """Whatever they are, they are looked at within their bounds."""
    whole = infer(IMAGES[:2]).SerializeToString()
    for stop in range(len(whole)):
        with pytest.raises((InvalidRequest, UnknownModel)):
            await answer(house.infer, whole[:stop])


async def test_of_pixels_that_stand_there_twice_the_last_count(house: House) -> None:
    """As in every protobuf message; also where a request around other pixels is known."""
    first, last = predict(IMAGES[:1]), predict(IMAGES[1:2])
    del last.raw.shape[:]
    both = first.SerializeToString() + last.SerializeToString()
    expected = await slow(house.predict, classifier_pb2.PredictRequest.FromString(both))

    for _ in range(2):
        assert classifier_pb2.PredictResponse.FromString(await answer(house.predict, both)) == expected


async def test_a_new_version_answers_from_the_moment_it_is_there(house: House) -> None:
    """What was known of requests to the old one is forgotten."""
    before = await fast(house.predict, predict(IMAGES[:2]))
    house.install(publish_tiny(house.folder))
    after = await fast(house.predict, predict(IMAGES[:2]))

    assert isinstance(before, classifier_pb2.PredictResponse)
    assert isinstance(after, classifier_pb2.PredictResponse)
    assert (before.version, after.version) == (1, 2)
    assert before.labels == after.labels


async def test_a_model_that_needs_a_name_is_not_taken_for_the_only_one(house: House) -> None:
    """A request without a name is known while there is one model, and an error as soon as there are two."""
    await fast(house.predict, predict(IMAGES[:2]))
    house.install(publish_tiny(house.folder, "other"))

    with pytest.raises(InvalidRequest, match="name a model"):
        await fast(house.predict, predict(IMAGES[:2]))


async def test_kinds_of_the_same_length_are_told_apart(house: House) -> None:
    """Behind the pixels, before them, and in another model's name of as many letters; again and again in turn."""
    house.install(publish_tiny(house.folder, "tuny", graph=tiny_graph(ROTATED)))
    predicts = [predict(IMAGES[:3], top_k=top_k, model=name) for top_k in (1, 2) for name in ("tiny", "tuny")]
    infers = [infer(IMAGES[:3], ("logits",), model_name=model) for model in ("tiny", "tuny")]
    infers += [infer(IMAGES[:3], model_version="1"), infer(IMAGES[:3], id="1")]
    expected = [await slow(house.predict, one) for one in predicts] + [await slow(house.infer, one) for one in infers]

    for _ in range(3):
        answers = [await fast(house.predict, one) for one in predicts] + [
            await fast(house.infer, one) for one in infers
        ]
        assert answers == expected


async def test_a_request_that_comes_alone_is_answered_as_the_slow_path_does(house: House) -> None:
    """Once nobody has come together with others for a while, its answer is there at once where the model is fast."""
    for method, request in ((house.infer, infer(IMAGES[:3])), (house.predict, predict(IMAGES[:3]))):
        expected, at_once = await slow(method, request), 0
        assert method.wire is not None
        for _ in range(100):
            parts = method.wire(request.SerializeToString(), CallContext())
            at_once += isinstance(parts, tuple)
            whole = b"".join(parts if isinstance(parts, tuple) else await parts)
            assert method.response.FromString(whole) == expected

        assert bool(at_once) == bool(house.inline_images)


async def test_kinds_of_request_are_not_remembered_without_end(house: House) -> None:
    """A caller who never asks twice alike costs no memory."""
    assert isinstance(house.predict.wire, UnaryPath)
    for top_k in range(2 * MAX_KNOWN):
        await fast(house.predict, predict(IMAGES[:1], top_k=top_k))

    assert len(house.predict.wire.known) <= MAX_KNOWN


@settings(max_examples=30)
@given(cuts=st.lists(st.integers(1, 59), max_size=8, unique=True), at_once=st.sampled_from([0, 4, 16]))
def test_any_split_into_requests_gives_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], at_once: int
) -> None:
    """However images are dealt out to callers at once, each gets what it would have got alone, within 1e-5."""

    async def ask() -> tuple[np.ndarray, np.ndarray]:
        house = House(tmp_path_factory.mktemp("models"), at_once)
        parts = np.split(IMAGES[:50], sorted(cut for cut in cuts if cut < 50))
        answers = await asyncio.gather(*(fast(house.infer, infer(part)) for part in parts))
        whole = await slow(house.infer, infer(IMAGES[:50]))
        await house.close()
        return np.concatenate([values(answer) for answer in answers]), values(whole)

    together, whole = asyncio.run(ask())
    np.testing.assert_allclose(together, whole, atol=1e-5)


def values(answer: Message) -> np.ndarray:
    assert isinstance(answer, inference_pb2.ModelInferResponse)
    return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(-1, 3)
