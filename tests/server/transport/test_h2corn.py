"""What h2corn does not do by itself: draining, renewed certificates, too many connections, and its own end."""

import asyncio
import itertools
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

import vouch.server.transport.h2corn
import vouch.server.transport.h2corn_settings
from tests.hostile.frames import message
from tests.hostile.raw_call import RawCall
from tests.server.transport.echo import PREDICT, echo
from tests.support.certificates import Authority, Pair
from vouch.server.errors import StartFailed
from vouch.server.serving.gate import Gate
from vouch.server.transport.h2corn import HTTP2_THREAD, start_h2corn
from vouch.server.transport.limits import OTHER_DESCRIPTORS, Listening
from vouch.server.transport.tls import TlsFiles

RENEWALS = 3


async def called(channel: grpc.aio.Channel) -> str:
    """What a call ends with."""
    try:
        predict: Any = channel.unary_unary(PREDICT)
        await predict(b"", timeout=10)
    except grpc.aio.AioRpcError as err:
        return f"{err.code().name}: {err.details()}"
    return "OK"


async def calls_until(ended: asyncio.Event, open_channel: Callable[[int], grpc.aio.Channel]) -> Counter[str]:
    """How calls ended, of some long-lived connections and of many short ones."""
    counted: Counter[str] = Counter()
    numbers = itertools.count()

    async def on_one() -> None:
        async with open_channel(next(numbers)) as channel:
            while not ended.is_set():
                counted[await called(channel)] += 1

    async def on_many() -> None:
        while not ended.is_set():
            async with open_channel(next(numbers)) as channel:
                for _ in range(3):
                    counted[await called(channel)] += 1

    await asyncio.gather(*(on_one() for _ in range(4)), *(on_many() for _ in range(4)))
    return counted


async def test_no_call_is_lost_when_certificates_are_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that stay, and connections that come at that very moment."""
    monkeypatch.setattr(vouch.server.transport.h2corn, "RENEWAL_INTERVAL_S", 0.05)
    authority = Authority(tmp_path, "ours")
    first, *fresh = (authority.issue(f"{number}") for number in range(RENEWALS + 1))
    live = Pair(first.certificate, first.key)
    server = await start_h2corn(
        echo(0.002), Gate(), Listening(tls=TlsFiles(live.certificate, live.key), shared=True, grace_s=5)
    )
    trusted = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    ended = asyncio.Event()

    def open_channel(number: int) -> grpc.aio.Channel:  # no two channels share a connection
        return grpc.aio.secure_channel(f"127.0.0.1:{server.port}", trusted, [("test.number", number)])

    calling = asyncio.create_task(calls_until(ended, open_channel))
    for pair in fresh:
        await asyncio.sleep(1.0)
        live.replace(pair)
    await asyncio.sleep(1.0)
    ended.set()
    counted = await calling
    await server.stop()

    assert set(counted) == {"OK"}
    assert counted.total() > 100


async def test_new_callers_of_a_server_that_drains_do_not_wait_in_vain() -> None:
    """They are refused at once, while accepted calls go on; nobody finds a listener that nobody serves."""
    server = await start_h2corn(echo(1.0), Gate(), Listening(grace_s=5))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        accepted = asyncio.create_task(called(channel))
        await asyncio.sleep(0.3)
        await server.turn_away()

        for _ in range(20):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
        assert await accepted == "OK"
    await server.stop()
    assert not server.ended.done()


async def test_its_thread_interrupts_nobody() -> None:
    """The event loop answers all that is there before its answers go out, where both share a core."""
    server = await start_h2corn(echo(), Gate(), Listening())
    threads = Path("/proc/self/task").iterdir()
    policies = [os.sched_getscheduler(int(one.name)) for one in threads if HTTP2_THREAD in (one / "comm").read_text()]
    await server.stop()

    assert policies
    assert set(policies) == {os.SCHED_BATCH}


async def test_an_end_that_nobody_asked_for_is_told() -> None:
    """Whoever watches ends the worker, and another takes its place."""
    server = await start_h2corn(echo(), Gate(), Listening())
    assert server._current is not None
    server._current.listener.shutdown(socket.SHUT_RDWR)  # as h2corn ends when it cannot accept any more

    with pytest.raises(StartFailed, match="h2corn ended unexpectedly"):
        async with asyncio.timeout(10):
            await server.ended


async def test_connections_beyond_the_limit_wait_and_the_others_go_on() -> None:
    """They stay in the listener's queue, and have their turn when some have gone; silent ones go after 5 s."""
    server = await start_h2corn(echo(), Gate(), Listening(max_connections=20))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert await called(channel) == "OK"
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(60)]
        assert await called(channel) == "OK"
        async with asyncio.timeout(30):
            assert await idle[0][0].read(1) == b""
        for _, writer in idle:
            writer.close()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", [("test.other", 1)]) as other:
            assert await called(other) == "OK"
    await server.stop()


@pytest.mark.parametrize(
    ("limit", "asked", "connections"),
    [
        (1024, 4096, 1024 - OTHER_DESCRIPTORS),
        (1 << 20, 4096, 4096),
        (resource.RLIM_INFINITY, 4096, 4096),
        (1024, 100, 100),
        (64, 4096, 1),
    ],
)
def test_connections_are_no_more_than_the_process_has_descriptors_for(
    monkeypatch: pytest.MonkeyPatch, limit: int, asked: int, connections: int
) -> None:
    """Out of descriptors h2corn would end, with all calls."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))

    assert Listening(max_connections=asked).connections == connections


@pytest.mark.parametrize(
    ("limit", "asked", "each"), [(1000 + OTHER_DESCRIPTORS, 4096, 500), (1 << 20, 4096, 4096), (64, 4096, 1)]
)
def test_two_generations_of_connections_have_descriptors(
    monkeypatch: pytest.MonkeyPatch, limit: int, asked: int, each: int
) -> None:
    """The calls of the old one may take their time, and all connections of the next one may be open by then."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))

    assert Listening(max_connections=asked).connections_each == each


async def test_connections_are_kept_alive_by_tcp() -> None:
    """They inherit it from the listener."""
    server = await start_h2corn(echo(), Gate(), Listening())
    assert server._current is not None
    listens = server._current.listener

    assert listens.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert listens.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    await server.stop()


async def test_calls_at_once_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all connections: one more is refused without a task of its own, and answered when another has left."""
    monkeypatch.setattr(vouch.server.transport.h2corn_settings, "MAX_CALLS", 5)
    server = await start_h2corn(echo(), Gate(), Listening())
    calls = [await asyncio.to_thread(RawCall, server.port) for _ in range(6)]
    ends = await asyncio.gather(*(asyncio.to_thread(call.ended, 3) for call in calls))

    assert sorted(ends) == [("", "503"), *[("", "nothing")] * 5]
    calls[ends.index(("", "nothing"))].close()
    async with asyncio.timeout(20):
        while await answered(server.port) != "0":
            await asyncio.sleep(0.05)
    for call in calls:
        call.close()
    await server.stop()


async def answered(port: int) -> str:
    """What an empty call ends with."""
    with await asyncio.to_thread(RawCall, port) as call:
        call.send(message(b""), last=True)
        return (await asyncio.to_thread(call.ended))[0]
