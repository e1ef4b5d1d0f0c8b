import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import numpy as np
import pytest

from tests.client.bench.made_up import TINY
from tests.support.serving import MAX_REQUEST_IMAGES, Serving, live
from tests.support.tiny import LABELS, THRESHOLDS, publish_tiny, several_probabilities, tiny_images, tiny_several
from vouch.client import AsyncClient, CallFailed
from vouch.client.bench.calls import CONNECTIONS, Calls, requests_of
from vouch.client.bench.images import Reference
from vouch.client.bench.load import RIGHT, WRONG
from vouch.client.models import ModelVersion
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import DomainError, InvalidRequest, ModelFailed, NotReady, Overloaded
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.limits import Listening

IMAGES, TRUE = tiny_images(10)
REFERENCE = Reference(IMAGES, tuple((LABELS[k],) for k in TRUE))


@asynccontextmanager
async def answering(answer: Callable[[CallContext], pb.PredictResponse]) -> AsyncIterator[tuple[str, set[str]]]:
    """A server whose Predict answers so; its address, and who has called."""

    class Service:
        async def Predict(self, _: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
            peers.add(context.caller.peer)
            return answer(context)

        PredictStream = ListModels = GetModel = Evaluate = Predict

    peers: set[str] = set()
    table = methods(pb.DESCRIPTOR.services_by_name["Classifier"], Service())
    server = await start_grpcio(table, Gate(), Listening(max_message_bytes=10_000))
    yield f"127.0.0.1:{server.port}", peers
    await server.stop()


def failing(error: DomainError) -> Callable[[CallContext], pb.PredictResponse]:
    def fail(_: CallContext) -> pb.PredictResponse:
        raise error

    return fail


async def model_of(serving: Serving, name: str = "tiny") -> ModelVersion:
    async with AsyncClient(serving.address) as client:
        return live(await client.model(name))


@pytest.mark.parametrize("batch_size", [1, 3, 10, 25])
def test_requests_have_so_many_images_and_begin_at_different_ones(batch_size: int) -> None:
    """All images are sent; where there are fewer than a batch has, they come again."""
    requests = requests_of(REFERENCE, batch_size, TINY)

    assert {row for request in requests for row in request.rows} == set(range(10))
    assert len({request.rows[0] for request in requests}) >= 4
    for request in requests:
        message = pb.PredictRequest.FromString(request.content)
        rows = list(request.rows)
        assert (message.model, message.version, len(rows)) == ("tiny", 1, batch_size)
        assert list(message.raw.shape) == [batch_size, 4, 4]
        assert message.raw.pixels == IMAGES[rows].tobytes()
        assert request.labels == [LABELS[TRUE[row]] for row in rows]


async def test_right_answers_are_right(serving: Serving) -> None:
    """In batches of any size, one longer than the server's own among them."""
    async with Calls(serving.address, 10, await model_of(serving), REFERENCE) as calls:
        for batch_size in (1, 8, 100):
            send = calls.of(batch_size)
            assert [await send(number) for number in range(12)] == [RIGHT] * 12
        assert calls.wrong == ""


async def test_right_answers_of_a_multi_label_model_are_right(serving: Serving) -> None:
    """As sets: also where no label is answered."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images, _ = tiny_several(20)
    rows = several_probabilities(images) >= np.array(THRESHOLDS)
    answers = tuple(tuple(LABELS[k] for k in np.flatnonzero(row)) for row in rows)
    falsified = ((*answers[0], "fourth"), *answers[1:])
    model = await model_of(serving, "several")

    async with Calls(serving.address, 10, model, Reference(images, answers)) as calls:
        assert await calls.of(20)(0) == RIGHT
    async with Calls(serving.address, 10, model, Reference(images, falsified)) as calls:
        assert await calls.of(20)(0) == WRONG
        assert "fourth alone, but" in calls.wrong
    assert () in answers


async def test_wrong_answers_are_counted_image_by_image(serving: Serving) -> None:
    """And the first is told."""
    wrong = LABELS[(TRUE[2] + 1) % 3]
    answers = (*REFERENCE.answers[:2], (wrong,), *REFERENCE.answers[3:])

    async with Calls(serving.address, 10, await model_of(serving), Reference(IMAGES, answers)) as calls:
        found = [await calls.of(5)(number) for number in range(5)]

        assert sorted(set(found)) == [RIGHT, WRONG]
        assert calls.wrong == (
            f"{found.count(WRONG)} of 25 images got another answer than when each was sent alone; the first: "
            f"{wrong} alone, but {LABELS[TRUE[2]]} in a batch of 5"
        )


async def test_images_without_an_answer_are_wrong() -> None:
    """Too few rows are not let pass."""
    response = pb.PredictResponse(model="tiny", version=1, top_k=1, labels=[LABELS[TRUE[0]]], probabilities=[1])
    async with answering(lambda _: response) as (address, _), Calls(address, 10, TINY, REFERENCE) as calls:
        assert await calls.of(3)(0) == WRONG
        assert calls.wrong.startswith("2 of 3 images got another answer")
        assert "alone, but no label in" in calls.wrong


async def test_calls_go_over_several_connections() -> None:
    """To one server: they are not merged."""
    response = pb.PredictResponse(model="tiny", version=1, top_k=1, labels=[LABELS[TRUE[0]]], probabilities=[1])
    async with answering(lambda _: response) as (address, peers), Calls(address, 10, TINY, REFERENCE) as calls:
        send = calls.of(1)
        await asyncio.gather(*(send(number) for number in range(3 * CONNECTIONS)))

        assert len(peers) == CONNECTIONS


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Overloaded("the queue is full"), "RESOURCE_EXHAUSTED"), (ModelFailed("it broke"), "INTERNAL")],
)
async def test_what_an_overloaded_server_answers_is_counted(error: DomainError, reason: str) -> None:
    """By its status code; nothing is sent again."""
    async with answering(failing(error)) as (address, _), Calls(address, 10, TINY, REFERENCE) as calls:
        assert await calls.of(1)(0) == reason


async def test_a_call_that_takes_too_long_is_counted() -> None:
    """The time-out is its deadline."""

    class Slow:
        async def Predict(self, *_: object) -> pb.PredictResponse:  # noqa: N802
            await asyncio.Event().wait()
            raise AssertionError

        PredictStream = ListModels = GetModel = Evaluate = Predict

    table = methods(pb.DESCRIPTOR.services_by_name["Classifier"], Slow())
    server = await start_grpcio(table, Gate(), Listening(max_message_bytes=10_000))
    async with Calls(f"127.0.0.1:{server.port}", 0.1, TINY, REFERENCE) as calls:
        assert await calls.of(1)(0) == "DEADLINE_EXCEEDED"
    await server.stop()


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (NotReady("not now"), "stopped responding during the measurement: not now", grpc.StatusCode.UNAVAILABLE),
        (InvalidRequest("expected pixels"), "answered INVALID_ARGUMENT: expected", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_would_come_back_every_time_ends_the_measurement(
    error: DomainError, words: str, code: grpc.StatusCode
) -> None:
    """As an error with the server's words."""
    async with answering(failing(error)) as (address, _), Calls(address, 10, TINY, REFERENCE) as calls:
        with pytest.raises(CallFailed, match=words) as failure:
            await calls.of(1)(0)

    assert failure.value.code is code


async def test_a_message_that_is_too_large_ends_the_measurement() -> None:
    """It is RESOURCE_EXHAUSTED by its code, but no overload."""
    async with answering(failing(NotReady("unreached"))) as (address, _), Calls(address, 10, TINY, REFERENCE) as calls:
        with pytest.raises(CallFailed, match="the message is too large .* send fewer or smaller images"):
            await calls.of(1000)(0)


async def test_too_many_images_end_the_measurement(serving: Serving) -> None:
    """With the server's words about its limit."""
    async with Calls(serving.address, 10, await model_of(serving), REFERENCE) as calls:
        with pytest.raises(CallFailed, match=f"{MAX_REQUEST_IMAGES}"):
            await calls.of(MAX_REQUEST_IMAGES + 1)(0)


async def test_a_version_that_was_replaced_ends_the_measurement(serving: Serving) -> None:
    """Its answers could differ by rights."""
    model = replace(await model_of(serving), version=7)
    async with Calls(serving.address, 10, model, REFERENCE) as calls:
        with pytest.raises(CallFailed, match="answered NOT_FOUND"):
            await calls.of(1)(0)


async def test_nobody_there_ends_the_measurement() -> None:
    """It is not waited for."""
    async with Calls("127.0.0.1:1", 10, TINY, REFERENCE) as calls:
        with pytest.raises(CallFailed, match="127.0.0.1:1 stopped responding"):
            await calls.of(1)(0)
