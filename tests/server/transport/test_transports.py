import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from tests.support.serving import Serving, Start
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import Overloaded
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.limits import Listening

SERVICE = pb.DESCRIPTOR.services_by_name["Classifier"]


class Probe:
    """A service that does what each test wants and keeps the contexts it was called with."""

    def __init__(self) -> None:
        self.contexts: list[CallContext] = []
        self.cancelled = asyncio.Event()
        self.failure: Exception | None = None
        self.hang = False

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.contexts.append(context)
        if self.failure:
            raise self.failure
        if self.hang:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return pb.PredictResponse(model=request.model)

    async def PredictStream(  # noqa: N802
        self, requests: AsyncIterator[pb.PredictStreamRequest], context: CallContext
    ) -> AsyncIterator[pb.PredictStreamResponse]:
        try:
            async for request in requests:
                yield pb.PredictStreamResponse(id=request.id)
                if self.failure:
                    raise self.failure
        finally:
            self.cancelled.set()

    async def _unused(self, request: Message, context: CallContext) -> Message:
        raise NotImplementedError

    ListModels = GetModel = Evaluate = _unused


class Probed:
    def __init__(self, probe: Probe, channel: grpc.aio.Channel, port: int) -> None:
        self.probe = probe
        self.port = port
        self.predict: Any = channel.unary_unary(f"/{SERVICE.full_name}/Predict")
        self.stream: Any = channel.stream_stream(f"/{SERVICE.full_name}/PredictStream")


@pytest.fixture
async def listening(start: Start) -> AsyncIterator[Probed]:
    """The probe, over each transport."""
    probe = Probe()
    server = await start(methods(SERVICE, probe), Gate(), Listening(max_message_bytes=10_000))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Probed(probe, channel, server.port)
    await server.stop()


async def status(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code(), failure.value.details() or ""


async def test_bytes_that_are_no_message_are_the_callers_mistake(listening: Probed) -> None:
    """Garbage is INVALID_ARGUMENT, not UNKNOWN with an exception's text."""
    assert await status(listening.predict(b"\xff\xff\xff")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the request is not a vouch.v1.PredictRequest message",
    )


async def test_garbage_on_a_stream_ends_it_with_the_reason(listening: Probed) -> None:
    """The stream's status is INVALID_ARGUMENT."""
    call = listening.stream(iter([b"\xff\xff\xff"]))

    assert (await status(call.read()))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_expected_error_becomes_its_status(listening: Probed) -> None:
    """Domain errors keep their message."""
    listening.probe.failure = Overloaded("the queue is full")

    assert await status(listening.predict(b"")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")


async def test_a_bug_is_told_by_an_id_only(listening: Probed, caplog: pytest.LogCaptureFixture) -> None:
    """The exception's text stays in the log, on unary calls and on streams."""
    listening.probe.failure = RuntimeError("password=1234")
    request = pb.PredictStreamRequest(id="a").SerializeToString()

    with caplog.at_level(logging.ERROR):
        unary = await status(listening.predict(b""))
        call = listening.stream(iter([request]))
        await call.read()
        streamed = await status(call.read())

    for code, details in (unary, streamed):
        assert code is grpc.StatusCode.INTERNAL
        assert "password" not in details
        assert details.rsplit(" ", 1)[1] in caplog.text
    assert "password=1234" in caplog.text


async def test_a_deadline_reaches_the_service_in_the_loops_time(listening: Probed) -> None:
    """The context carries the deadline of a call that has one, and none where the caller waits for ever."""
    await listening.predict(b"", timeout=50, metadata=(("colour", "blue"),))
    await listening.predict(b"")

    timed, endless = listening.probe.contexts
    assert timed.deadline is not None
    assert 40 < timed.deadline - asyncio.get_running_loop().time() <= 51  # clients round up
    assert timed.caller.headers("colour") == ("blue",)
    assert timed.caller.peer.startswith("ipv4:127.0.0.1")
    assert endless.deadline is None


async def test_a_cancelled_call_cancels_the_service(listening: Probed) -> None:
    """Nobody goes on working for a caller who has left."""
    listening.probe.hang = True
    call = listening.predict(b"")
    async with asyncio.timeout(10):
        while not listening.probe.contexts:
            await asyncio.sleep(0)
        call.cancel()

        await listening.probe.cancelled.wait()


async def test_an_expired_deadline_ends_the_call_and_the_service(listening: Probed) -> None:
    """DEADLINE_EXCEEDED for the caller, cancellation for the service."""
    listening.probe.hang = True

    code, _ = await status(listening.predict(b"", timeout=0.05))

    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await listening.probe.cancelled.wait()


async def test_a_cancelled_stream_closes_the_services_iterator(listening: Probed) -> None:
    """Its cleanup runs, though it was waiting for a request that never comes."""
    call = listening.stream()
    await call.write(pb.PredictStreamRequest(id="a").SerializeToString())
    await call.read()
    call.cancel()

    async with asyncio.timeout(10):
        await listening.probe.cancelled.wait()


async def test_a_message_over_the_limit_is_refused(listening: Probed) -> None:
    """RESOURCE_EXHAUSTED beyond the limit, an answer just below it."""
    below = pb.PredictRequest(model="m" * 9_000).SerializeToString()
    above = pb.PredictRequest(model="m" * 11_000).SerializeToString()

    assert await listening.predict(below)
    assert (await status(listening.predict(above)))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_unknown_method_is_unimplemented(serving: Serving) -> None:
    """As gRPC has it."""
    call: Any = serving.channel.unary_unary("/vouch.v1.Classifier/Guess")

    assert (await status(call(b"")))[0] is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_messages_are_read(listening: Probed, compression: grpc.Compression) -> None:
    """Of a call and of a stream, whole ones beside them too, and bounded by what they hold."""
    request = pb.PredictRequest(model="m" * 5000).SerializeToString()
    assert pb.PredictResponse.FromString(await listening.predict(request, compression=compression)).model == "m" * 5000

    call = listening.stream(iter([pb.PredictStreamRequest(id="a" * 5000).SerializeToString()]), compression=compression)
    assert pb.PredictStreamResponse.FromString(await call.read()).id == "a" * 5000

    above = pb.PredictRequest(model="m" * 11_000).SerializeToString()
    code, _ = await status(listening.predict(above, compression=compression))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
