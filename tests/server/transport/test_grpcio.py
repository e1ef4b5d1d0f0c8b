import asyncio
from pathlib import Path

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]

import vouch.server.transport.grpcio
from tests.hostile.frames import block, headers, opening
from tests.hostile.raw_call import RawCall
from tests.server.transport.echo import STREAM, echo
from tests.serving import Start
from vouch.client.channel_options import CHANNEL_OPTIONS
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import StartFailed
from vouch.server.gate import Gate
from vouch.server.services.table import Method
from vouch.server.transport.grpcio import options, start_grpcio
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.listening import Listening


async def test_a_second_server_on_the_port_fails_at_once() -> None:
    """Two servers never share a port in silence."""
    nothing: list[Method] = []
    first = await start_grpcio(nothing, Gate(), Listening(max_message_bytes=10_000))

    with pytest.raises(StartFailed, match=f"cannot listen on 127.0.0.1:{first.port}"):
        await start_grpcio(nothing, Gate(), Listening(port=first.port))
    await first.stop()


def test_the_library_knows_every_option_that_it_is_given() -> None:
    """What it does not know it passes over in silence: a misspelt one was of no effect for months."""
    library = Path(cygrpc.__file__).read_bytes()
    asked = [*options(Listening()), *CHANNEL_OPTIONS]

    assert [name for name, _ in asked if name.encode() + b"\0" not in library] == []
    assert b"grpc.http2.min_recv_ping_interval_without_data_ms\0" not in library  # as it once was


@pytest.mark.parametrize("start", [start_h2corn, start_grpcio], ids=["h2corn", "grpcio"])
async def test_a_quiet_stream_is_kept(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who pings as often as it may is not told that these are too many pings; in hundredths of the times."""
    shortened = [(name, value // 100 if name.endswith("_ms") else value) for name, value in options(Listening())]
    monkeypatch.setattr(vouch.server.transport.grpcio, "options", lambda _: shortened)
    pings = [("grpc.keepalive_time_ms", 300), ("grpc.keepalive_permit_without_calls", 1)]
    server = await start(echo(), Gate(), Listening())
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{server.port}", [*pings, ("grpc.http2.max_pings_without_data", 0)]
    ) as channel:
        stream = channel.stream_stream(
            STREAM, pb.PredictStreamRequest.SerializeToString, pb.PredictStreamResponse.FromString
        )(timeout=30)
        await stream.write(pb.PredictStreamRequest(id="1"))
        assert await stream.read()
        await asyncio.sleep(3.0)  # 5 minutes
        await stream.write(pb.PredictStreamRequest(id="2"))
        assert await stream.read()
        stream.cancel()
    await server.stop()


async def test_an_end_that_nobody_asked_for_is_told() -> None:
    """One call whose path is no text ends grpcio's loop; whoever watches ends the worker, and another replaces it."""
    server = await start_grpcio(echo(), Gate(), Listening())
    with RawCall(server.port, "/a", ("a", "b")) as call:
        call.send(b"", last=True)
        assert await asyncio.to_thread(call.ended) == ("12", "Method not found!")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(opening() + headers(1, block("/a").replace(b"/a", b"/\xff")))

    with pytest.raises(StartFailed, match="grpcio ended unasked"):
        async with asyncio.timeout(10):
            await server.ended
    writer.close()
    await server.stop()
