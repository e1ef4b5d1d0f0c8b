"""A worker within the test's event loop; the test is its supervisor."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.lineups import line_up, listed
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Budget
from vouch.server.lineup.lineup import LineUp, Model
from vouch.server.link.channel import Channel, Ends, channel
from vouch.server.link.messages import (
    Applied,
    Follow,
    Listen,
    Listening,
    Order,
    Report,
    Stop,
)
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method
from vouch.server.serving.gate import Gate
from vouch.server.settings import ServeSettings
from vouch.server.transport.limits import MakeHttp
from vouch.server.worker.worker import Worker

WITHIN_S = 30


class Listener:
    """Takes no calls; the methods that it was given can be called."""

    port = 1

    def __init__(self, methods: Iterable[Method]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.methods = {method.path.split("/")[-1]: method for method in methods}
        self.told: list[str] = []

    async def turn_away(self) -> None:
        self.told.append("turn away")

    async def stop(self) -> None:
        self.told.append("stop")

    async def predict(self, images: np.ndarray, **fields: Any) -> pb.PredictResponse:
        raw = pb.RawImages(pixels=images.tobytes(), shape=images.shape)
        answer: pb.PredictResponse = await self.methods["Predict"].function(
            pb.PredictRequest(raw=raw, **fields), CallContext()
        )
        return answer


class House:
    """A worker at work; this test is its supervisor."""

    def __init__(self, folder: ModelsFolder, supervisor: Channel, worker: Channel, **changed: Any) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.listeners: list[Listener] = []
        self.refuses_to_listen: list[Exception] = []
        self.must_end_within: list[float] = []
        settings = ServeSettings(models=folder.path, grace_s=1, **changed)
        self._worker = Worker(settings, 1, worker, self._listen)
        self.working = asyncio.create_task(self._worker.work(self.must_end_within.append))
        self._heard = supervisor.heard()

    async def _listen(self, methods: Iterable[Method], gate: Gate, budget: Budget, http: MakeHttp | None) -> Listener:
        if self.refuses_to_listen:
            raise self.refuses_to_listen.pop()
        self.listeners.append(Listener(methods))
        return self.listeners[-1]

    def say(self, *orders: Order) -> None:
        for order in orders:
            self.supervisor.say(order)

    async def heard(self) -> Order | Report:
        async with asyncio.timeout(WITHIN_S):
            return await anext(self._heard)

    async def until(self, kind: type[Report]) -> Any:
        while not isinstance(report := await self.heard(), kind):
            pass
        return report

    async def serving(self, *bundles: Bundle) -> Listener:
        """Listens, and serves these."""
        self.say(Follow(line_up=to_serve(*bundles)))
        await self.until(Applied)
        self.say(Listen())
        await self.until(Listening)
        return self.listeners[-1]

    async def ended(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            await self.working


Start = Callable[..., House]


def to_serve(*bundles: Bundle, number: int = 1) -> LineUp:
    return line_up(*(Model(name=one.manifest.name, versions=(listed(one),)) for one in bundles), number=number)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts workers; each is stopped after the test, if it has not ended."""
    ours, theirs = Ends.pair()
    supervisor, worker = await channel(ours), await channel(theirs)
    started: list[House] = []

    def begin(**changed: Any) -> House:
        started.append(House(ModelsFolder(tmp_path / "models"), supervisor, worker, **changed))
        return started[-1]

    yield begin
    for house in started:
        house.say(Stop())
        async with asyncio.timeout(WITHIN_S):
            await asyncio.wait((house.working,))
    await asyncio.gather(supervisor.close(), worker.close())


@pytest.fixture
async def house(start: Start) -> House:
    return start()
