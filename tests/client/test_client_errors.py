import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pytest

from tests.support.serving import Serving, live, start  # noqa: F401 - a fixture
from tests.support.tiny import (
    tiny_images,
)
from vouch.client import AsyncClient, CallFailed, Client
from vouch.client.images import Images
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import NotReady
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.limits import Listening

NOBODY = "127.0.0.1:1"
SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]


async def test_what_the_callers_own_requests_raise_reaches_the_caller(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """After the answers to what came before, and not as a traceback in gRPC's log."""
    images, _ = tiny_images(1)

    def requests() -> Iterator[tuple[str, Images]]:
        yield "a", images
        raise LookupError("no more cameras")

    async def asynchronous() -> AsyncIterator[tuple[str, Images]]:
        for request in requests():
            yield request

    def synchronous() -> None:
        with Client(serving.address) as client:
            answers = client.predict_stream(requests())
            assert next(answers)[0] == "a"
            with pytest.raises(LookupError, match="no more cameras"):
                next(answers)

    async with AsyncClient(serving.address) as client:
        answers = client.predict_stream(asynchronous())
        assert (await anext(answers))[0] == "a"
        with pytest.raises(LookupError, match="no more cameras"):
            await anext(answers)

    await asyncio.to_thread(synchronous)
    assert not caplog.records


def test_nobody_there_is_said_in_one_sentence() -> None:
    """With the address, and what could be wrong."""
    with Client(NOBODY) as client, pytest.raises(CallFailed, match=f"no server can be reached at {NOBODY}") as failure:
        client.ready()

    assert failure.value.code is grpc.StatusCode.UNAVAILABLE


async def test_an_error_keeps_code_and_reason(serving: Serving) -> None:
    """The server's words reach the caller."""
    async with AsyncClient(serving.address) as client:
        with pytest.raises(CallFailed, match="answered NOT_FOUND: there is no model 'none'; there is tiny") as failure:
            await client.predict(tiny_images(1)[0], model="none")

    assert failure.value.code is grpc.StatusCode.NOT_FOUND


def test_pixels_that_are_not_bytes_never_leave() -> None:
    """Scaled floats are the commonest mistake; the message says what is wanted."""
    with (
        Client(NOBODY) as client,
        pytest.raises(ValueError, match=r"expected uint8 pixels .* got float32 .* the model scales them"),
    ):
        client.predict(np.zeros((1, 4, 4), np.float32))


class Moody:
    """A service that is unavailable a few times and then answers, or never answers at all."""

    def __init__(self, moods: Iterator[bool]) -> None:
        self.calls = 0
        self._moods = moods

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.calls += 1
        if not next(self._moods):
            raise NotReady("not yet")
        await asyncio.sleep(60 if request.model == "slow" else 0)
        return pb.PredictResponse(model="moody", version=1, top_k=1, labels=["x"], probabilities=[1])

    PredictStream = ListModels = GetModel = Evaluate = Predict


async def test_an_unavailable_server_is_asked_again() -> None:
    """gRPC itself sends the call again, a photo's too, a few times, and then gives up with the reason."""
    moody = Moody(iter([False, False, True, *[False] * 10]))
    server = await start_grpcio(methods(SERVICE, moody), Gate(), Listening(max_message_bytes=10_000_000))
    async with AsyncClient(f"127.0.0.1:{server.port}") as client:
        answer = await client.predict(bytes(5_000_000))
        assert (answer.model, moody.calls) == ("moody", 3)

        with pytest.raises(CallFailed, match="answered UNAVAILABLE: not yet"):
            await client.predict([b"png"])
        assert moody.calls == 3 + 4
    await server.stop()


async def test_every_call_has_a_deadline() -> None:
    """A server that does not answer costs the client's time-out, not for ever."""
    moody = Moody(iter([True] * 10))
    server = await start_grpcio(methods(SERVICE, moody), Gate(), Listening(max_message_bytes=10_000))
    async with AsyncClient(f"127.0.0.1:{server.port}", timeout_s=0.1) as client:
        with pytest.raises(CallFailed, match="did not answer in time") as failure:
            await client.predict([b"png"], model="slow")

    assert failure.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await server.stop()
