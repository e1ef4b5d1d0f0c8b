"""A worker as a process of its own, with this test as its supervisor."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.lineups import line_up, listed
from tests.support.programs import OURS
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.client import AsyncClient
from vouch.server.lineup.lineup import Model
from vouch.server.link.channel import Channel, Ends, channel
from vouch.server.link.messages import (
    VARIABLE,
    Applied,
    Assignment,
    Follow,
    Listen,
    Listening,
    Order,
    Ping,
    Pong,
    Report,
    Stop,
    Stopped,
)
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.port import ReservedPort

WITHIN_S = 60


class House:
    """A running worker, and this end of its channel."""

    def __init__(self, folder: ModelsFolder, process: Process, supervisor: Channel, port: int) -> None:
        self.folder = folder
        self.process = process
        self.supervisor = supervisor
        self.address = f"127.0.0.1:{port}"
        self._heard = supervisor.heard()

    def say(self, *orders: Order) -> None:
        for order in orders:
            self.supervisor.say(order)

    async def until(self, kind: type[Report]) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while not isinstance(report := await anext(self._heard), kind):
                pass
        return report

    def follow_tiny(self) -> None:
        bundle = publish_tiny(self.folder)
        self.say(Follow(line_up=line_up(Model(name="tiny", versions=(listed(bundle),)))))

    async def ended(self) -> int:
        async with asyncio.timeout(WITHIN_S):
            return await self.process.wait()


Start = Callable[..., Awaitable[House]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts workers; none outlives its test."""
    started: list[House] = []
    reserved = ReservedPort("127.0.0.1", 0)

    async def begin(**changed: Any) -> House:
        ours, theirs = Ends.pair()
        settings = ServeSettings(models=tmp_path / "models", grace_s=1, **changed)
        assigned = Assignment(settings=settings, port=reserved.port, cores=1, sockets=theirs.descriptors)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vouch.server.worker.process"),
            env=OURS | {VARIABLE: assigned.model_dump_json()},
            pass_fds=theirs.descriptors,
        )
        theirs.close()
        started.append(House(ModelsFolder(tmp_path / "models"), process, await channel(ours), reserved.port))
        return started[-1]

    yield begin
    for house in started:
        if house.process.returncode is None:
            house.process.kill()
        await house.ended()
        await house.supervisor.close()
    reserved.close()


async def test_no_socket_of_a_worker_takes_a_connection_before_it_is_told_to_listen(start: Start) -> None:
    """Then calls are answered, by what was loaded before."""
    house = await start()
    house.follow_tiny()
    await house.until(Applied)
    host, _, port = house.address.partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=WITHIN_S)

    house.say(Listen())
    listening = await house.until(Listening)

    assert listening == Listening()
    async with AsyncClient(house.address) as client:
        assert (await client.predict(tiny_images(2)[0], timeout_s=WITHIN_S)).version == 1
    house.say(Stop())
    assert (await house.until(Stopped)).counts.of("tiny", 1).images == 2
    assert await house.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_is_the_supervisors_affair(start: Start, number: int) -> None:
    """A worker that was sent one goes on, at every stage of its start: the supervisor tells it to stop."""
    house = await start()
    house.follow_tiny()
    ignored = Path(f"/proc/{house.process.pid}/status")

    def is_ignored() -> bool:
        (mask,) = [line.split()[1] for line in ignored.read_text().splitlines() if line.startswith("SigIgn")]
        return bool(int(mask, 16) >> (number - 1) & 1)

    async with asyncio.timeout(WITHIN_S):
        while not is_ignored():
            await asyncio.sleep(0.001)  # Python itself is starting
    os.kill(house.process.pid, number)
    await house.until(Applied)
    os.kill(house.process.pid, number)
    house.say(Ping(number=4))

    assert (await house.until(Pong)).number == 4


async def test_a_worker_ends_with_its_supervisor(start: Start) -> None:
    """However that ended: nobody is there any more at the other end."""
    house = await start()
    house.follow_tiny()
    await house.until(Applied)

    await house.supervisor.close()

    assert await house.ended() == 0


async def test_a_worker_that_cannot_be_what_it_should_says_why_and_ends(start: Start) -> None:
    """Here is no such provider."""
    house = await start(provider="cuda")

    assert "provider cuda is not available" in (await house.until(Listening)).problem
    assert await house.ended() == 1


async def test_a_worker_that_cannot_listen_says_why_and_hears_on(start: Start, tmp_path: Path) -> None:
    """A certificate that went bad before a replacement was started."""
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    house = await start(tls_certificate=bad, tls_key=bad)

    house.say(Listen(), Ping(number=9))

    assert str(bad) in (await house.until(Listening)).problem
    house.say(Stop())
    await house.until(Stopped)
    assert await house.ended() == 0


async def test_what_is_not_understood_ends_a_worker(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """A supervisor of another release, say: it logs that and drains."""
    house = await start()
    house.follow_tiny()
    await house.until(Applied)

    house.supervisor._writer.write(b'{"kind": "dance"}\n')

    await house.until(Stopped)
    assert await house.ended() == 0
    assert "is invalid" in capfd.readouterr().err
