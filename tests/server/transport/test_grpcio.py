import asyncio
import re
from itertools import product
from pathlib import Path

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]

import vouch.server.transport.grpcio
from tests.hostile.frames import block, headers, opening
from tests.hostile.raw_call import RawCall
from tests.server.transport.echo import STREAM, echo
from tests.support.serving import Start
from vouch.client.channel_options import CHANNEL_OPTIONS
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import StartFailed
from vouch.server.rpc.method import Method
from vouch.server.serving.gate import Gate
from vouch.server.transport.grpcio import options, start_grpcio
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.limits import Listening

ROOT = Path(__file__).resolve().parents[3]
OPTION = re.compile(r'"(grpc\.(?!(?:aio|health|reflection)\b)[a-z0-9_.]+)"')
"""How a channel's or server's option is written."""


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
    files = [path for folder in ("benchmarks", "client", "server", "tests") for path in (ROOT / folder).rglob("*.py")]
    written = {name for path in files for name in OPTION.findall(path.read_text())}
    asked = {name for name, _ in [*options(Listening()), *CHANNEL_OPTIONS]}

    assert asked <= written
    assert sorted(name for name in written if name.encode() + b"\0" not in library) == []
    assert b"grpc.http2.min_recv_ping_interval_without_data_ms\0" not in library  # as it once was


EVERY_12_S = {"grpc.keepalive_time_ms": 1200}
UNASKED = {"grpc.http2.max_pings_without_data": 0}


async def test_a_quiet_stream_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who pings about as often as it may is not told that these are too many pings, with a stream or without a
    call; in tenths of the times, as gRPC's clients ping once a second at most.
    """
    shortened = [(name, value // 10 if name.endswith("_ms") else value) for name, value in options(Listening())]
    monkeypatch.setattr(vouch.server.transport.grpcio, "options", lambda _: shortened)
    starts: tuple[Start, ...] = (start_h2corn, start_grpcio)
    async with asyncio.TaskGroup() as at_once:
        for start, pings in product(starts, (EVERY_12_S, EVERY_12_S | UNASKED)):
            at_once.create_task(expect_kept(start, pings))


async def expect_kept(start: Start, pings: dict[str, int]) -> None:
    """Both connections last for as long as six pings take, of which the fourth was too many."""
    server = await start(echo(), Gate(), Listening())
    given = [*pings.items(), ("grpc.keepalive_permit_without_calls", 1), ("grpc.use_local_subchannel_pool", 1)]
    target = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(target, given) as channel, grpc.aio.insecure_channel(target, given) as idle:
        stream = channel.stream_stream(
            STREAM, pb.PredictStreamRequest.SerializeToString, pb.PredictStreamResponse.FromString
        )(timeout=30)
        await stream.write(pb.PredictStreamRequest(id="1"))
        assert await stream.read()
        await idle.channel_ready()
        await asyncio.sleep(8.0)
        await stream.write(pb.PredictStreamRequest(id="2"))
        assert await stream.read()
        stream.cancel()
        assert idle.get_state() is grpc.ChannelConnectivity.READY
    await server.stop()


async def test_an_end_that_nobody_asked_for_is_told() -> None:
    """One call whose path is no text ends grpcio's loop; whoever watches ends the worker, and another replaces it."""
    server = await start_grpcio(echo(), Gate(), Listening())
    with RawCall(server.port, "/a", ("a", "b")) as call:
        call.send(b"", last=True)
        assert await asyncio.to_thread(call.ended) == ("12", "there is no method /a")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(opening() + headers(1, block("/a").replace(b"/a", b"/\xff")))

    with pytest.raises(StartFailed, match="grpcio ended unexpectedly"):
        async with asyncio.timeout(10):
            await server.ended
    writer.close()
    await server.stop()
