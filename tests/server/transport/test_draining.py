"""Streams on which nothing comes, over every transport: none of them holds up a drain, and each is told why it ends."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from tests.support.programs import serving_beside
from tests.support.serving import Serving
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder
from vouch.server.settings import Transport

GRACE_S = 300.0
"""Longer than any wait here."""
LIST_SERVICES = b"\x3a\x00"
STREAMS = {
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": LIST_SERVICES,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": LIST_SERVICES,
    "/vouch.v1.Classifier/PredictStream": b"",
    "/inference.GRPCInferenceService/ModelStreamInfer": b"",
    "/grpc.health.v1.Health/Watch": b"",
}
"""Path -> a request that is answered, be it with a failure; nothing follows it."""
TOLD = {"OK", "UNAVAILABLE"}


async def opened(channel: grpc.aio.Channel, path: str) -> Any:
    """A stream that has answered once, and whose caller sends nothing more."""
    stream: Any = channel.stream_stream(path)(timeout=GRACE_S)
    await stream.write(STREAMS[path])
    if path.endswith("/Watch"):
        await stream.done_writing()
    assert await asyncio.wait_for(stream.read(), 60) is not grpc.aio.EOF
    return stream


async def end_of(stream: Any) -> tuple[str, str]:
    with suppress(grpc.aio.AioRpcError):
        while await asyncio.wait_for(stream.read(), 60) is not grpc.aio.EOF:
            pass  # what was answered before
    return (await stream.code()).name, await stream.details()


async def test_open_streams_end_when_the_gate_closes(serving: Serving) -> None:
    """With UNAVAILABLE, which a client sends elsewhere; a watcher has the last word that it is owed."""
    streams = {path: await opened(serving.channel, path) for path in STREAMS}
    async with asyncio.timeout(60):
        serving.readiness.drain()
        await serving.gate.close(GRACE_S)
    ends = {path: await end_of(stream) for path, stream in streams.items()}

    watch = ends.pop("/grpc.health.v1.Health/Watch")
    assert watch == ("OK", "")
    assert set(ends.values()) == {("UNAVAILABLE", "the server is draining; another server may answer")}


async def test_a_server_with_open_streams_ends_at_once(tmp_path: Path, transport: Transport) -> None:
    """SIGTERM; each stream is ended by the server, long before the grace has passed."""
    publish_tiny(ModelsFolder(tmp_path))
    words = ("--transport", transport, "--grace-s", f"{GRACE_S:g}", "--drain-delay-s", "0")
    with serving_beside(tmp_path, *words) as (place, server):
        async with grpc.aio.insecure_channel(place["address"]) as channel:
            streams = [await opened(channel, path) for path in STREAMS]
            server.tell(signal.SIGTERM)
            assert await asyncio.to_thread(server.ended) == 0
            ends = [(await end_of(stream))[0] for stream in streams]

    assert set(ends) <= TOLD
