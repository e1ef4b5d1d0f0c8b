"""The ASGI application under another server, whose HTTP/2 is another's: nothing in it is made for one of them alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.server.transport.echo import PREDICT, STREAM, echo
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.call import Calls
from vouch.server.serving.gate import Gate
from vouch.server.transport.addresses import bound
from vouch.server.transport.asgi import App
from vouch.server.transport.intake import Intake


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    """To an echo under hypercorn."""
    listener = bound("127.0.0.1", 0, shared=False)
    listener.listen()
    port, config, ended = listener.getsockname()[1], Config(), asyncio.Event()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = config.errorlog = None
    app: Any = App(Calls(echo(), Gate(), 1_000_000), Intake(1_000_000))
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=ended.wait))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as open_channel:
        yield open_channel
    ended.set()
    await asyncio.wait((serving,), timeout=10)


async def test_calls_are_answered(channel: grpc.aio.Channel) -> None:
    """A small one, and one of many frames."""
    predict: Any = channel.unary_unary(PREDICT, pb.PredictRequest.SerializeToString, pb.PredictResponse.FromString)

    assert (await predict(pb.PredictRequest(model="tiny"), timeout=10)).model == "tiny"
    assert (await predict(pb.PredictRequest(model="x" * 500_000), timeout=10)).model == "x" * 500_000


async def test_streams_are_answered_as_they_come(channel: grpc.aio.Channel) -> None:
    """Each request before the next one is sent."""
    stream: Any = channel.stream_stream(
        STREAM, pb.PredictStreamRequest.SerializeToString, pb.PredictStreamResponse.FromString
    )(timeout=10)
    for number in range(3):
        await stream.write(pb.PredictStreamRequest(id=str(number)))
        assert (await stream.read()).id == str(number)
    await stream.done_writing()

    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK


async def test_an_error_within_a_stream_has_its_reason(channel: grpc.aio.Channel) -> None:
    """In the trailers. Before an answer it would be in headers that end the call, which hypercorn cannot send."""
    stream: Any = channel.stream_stream(STREAM)(timeout=10)
    await stream.write(pb.PredictStreamRequest(id="1").SerializeToString())
    await stream.read()
    await stream.write(b"\xff\xff")
    await stream.done_writing()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stream.read()

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.value.details() == "the request is not a vouch.v1.PredictStreamRequest message"
