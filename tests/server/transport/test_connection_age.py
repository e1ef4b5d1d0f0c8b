"""Connections have a maximum age: callers are told to connect again, so that load spreads, and no call fails by it."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import grpc

from tests.server.transport.echo import PREDICT, SERVICE, STREAM, Echo
from tests.support.serving import Start
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method, methods
from vouch.server.serving.gate import Gate
from vouch.server.transport.limits import Listening

AGE_S = 0.5
WITHIN_S = 60.0


class Peers(Echo):
    """Notes who calls; a connection each."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:  # noqa: N802
        self.calls[context.caller.peer] += 1
        return await super().Predict(request, context)

    def methods(self) -> list[Method]:
        return methods(SERVICE, self)


def a_channel(port: int, number: int = 0) -> grpc.aio.Channel:
    """No two of different numbers share a connection."""
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("test.number", number)])


async def call_until(channel: grpc.aio.Channel, enough: asyncio.Event) -> None:
    """Back to back; raises AioRpcError where one fails."""
    predict: Any = channel.unary_unary(PREDICT)
    while not enough.is_set():
        await predict(b"", timeout=30)


async def test_a_caller_who_stays_is_moved_to_another_connection_without_a_failed_call(start: Start) -> None:
    """Again and again."""
    peers, enough = Peers(), asyncio.Event()
    server = await start(peers.methods(), Gate(), Listening(max_connection_age_s=AGE_S))
    async with a_channel(server.port) as channel:
        calling = asyncio.create_task(call_until(channel, enough))
        async with asyncio.timeout(WITHIN_S):
            while len(peers.calls) < 4 and not calling.done():
                await asyncio.sleep(0.05)
        enough.set()
        await calling
    await server.stop()

    assert len(peers.calls) >= 4


async def test_without_an_age_a_connection_stays(start: Start) -> None:
    """What 0 stands for."""
    peers = Peers()
    server = await start(peers.methods(), Gate(), Listening(max_connection_age_s=0))
    async with a_channel(server.port) as channel:
        predict: Any = channel.unary_unary(PREDICT)
        for _ in range(30):
            await predict(b"", timeout=30)
            await asyncio.sleep(0.05)
    await server.stop()

    assert len(peers.calls) == 1


async def test_a_stream_outlives_the_age_of_its_connection(start: Start) -> None:
    """It goes on where it began, while other calls of the same caller have moved."""
    peers = Peers()
    server = await start(peers.methods(), Gate(), Listening(max_connection_age_s=AGE_S))
    async with a_channel(server.port) as channel:
        stream: Any = channel.stream_stream(
            STREAM, pb.PredictStreamRequest.SerializeToString, pb.PredictStreamResponse.FromString
        )(timeout=WITHIN_S)
        predict: Any = channel.unary_unary(PREDICT)
        async with asyncio.timeout(WITHIN_S):
            while len(peers.calls) < 3:
                await stream.write(pb.PredictStreamRequest(id="one"))
                assert (await stream.read()).id == "one"
                await predict(b"", timeout=30)
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK
    await server.stop()


async def test_a_worker_that_comes_later_gets_its_share(start: Start) -> None:
    """Callers who were all with one before, and never went."""
    first, second, enough = Peers(), Peers(), asyncio.Event()
    listening = Listening(max_connection_age_s=AGE_S, shared=True)
    old = await start(first.methods(), Gate(), listening)
    channels = [a_channel(old.port, number) for number in range(8)]
    calling = asyncio.gather(*(call_until(channel, enough) for channel in channels))
    async with asyncio.timeout(WITHIN_S):
        while len(first.calls) < len(channels):
            await asyncio.sleep(0.02)
    new = await start(second.methods(), Gate(), replace(listening, port=old.port))
    async with asyncio.timeout(WITHIN_S):
        while len(second.calls) < 3 and not calling.done():
            await asyncio.sleep(0.02)
    enough.set()
    await calling
    for channel in channels:
        await channel.close()
    await new.stop()
    await old.stop()

    assert len(second.calls) >= 3
