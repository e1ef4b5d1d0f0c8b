"""A worker over a socket pair, with this test as its supervisor and a listener that only keeps what it is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.lineups import line_up, listed
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Budget
from vouch.server.counting.counts import Counts
from vouch.server.errors import ModelFailed, NotReady, StartFailed
from vouch.server.lineup.lineup import LineUp, Model
from vouch.server.link.channel import Channel, Ends, channel
from vouch.server.link.messages import (
    Applied,
    AskTotal,
    Broken,
    Follow,
    Listen,
    Listening,
    Loading,
    Order,
    Ping,
    Pong,
    Report,
    Stop,
    Stopped,
    Total,
)
from vouch.server.model.session import Outputs, Session
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.settings import ServeSettings
from vouch.server.transport.limits import MakeHttp
from vouch.server.worker.worker import EndedUnasked, Worker

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


async def test_a_worker_listens_when_it_is_told_to_and_not_before(house: House) -> None:
    """It first makes it so that it can answer."""
    bundle = publish_tiny(house.folder)
    images, _ = tiny_images(3)

    house.say(Follow(line_up=to_serve(bundle, number=5)))
    said = [await house.heard(), await house.heard()]
    listened_before = len(house.listeners)
    house.say(Listen())

    assert said == [Loading(name="tiny", version=1), Applied(number=5)]
    assert listened_before == 0
    assert await house.heard() == Listening()
    assert (await house.listeners[0].predict(images)).version == 1


async def test_a_worker_hears_while_it_loads(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings are answered, and newer facts are known, however long a model takes."""
    held, run = threading.Event(), Session.run

    def slow(session: Session, parts: Sequence[np.ndarray]) -> Outputs:
        held.wait(WITHIN_S)
        return run(session, parts)

    monkeypatch.setattr(Session, "run", slow)
    house.say(Follow(line_up=to_serve(publish_tiny(house.folder))))
    loading = await house.heard()
    house.say(Ping(number=3))
    answer = await house.heard()
    held.set()

    assert loading == Loading(name="tiny", version=1)
    assert isinstance(answer, Pong)
    assert answer.number == 3
    assert await house.heard() == Applied(number=1)


async def test_what_could_not_be_loaded_does_not_make_a_worker_deaf(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Want of memory is a problem of that version; the next line-up is followed."""
    bundle = publish_tiny(house.folder)
    with monkeypatch.context() as patched:

        def fail(*_: object) -> Outputs:
            raise MemoryError

        patched.setattr(Session, "run", fail)
        house.say(Follow(line_up=to_serve(bundle)))
        (problem,) = (await house.until(Applied)).problems
    house.say(Follow(line_up=to_serve(bundle)))

    assert (problem.name, problem.version, problem.passing) == ("tiny", 1, True)
    assert await house.until(Applied) == Applied(number=1)


async def test_a_port_that_cannot_be_listened_on_is_reported_and_may_be_tried_again(house: House) -> None:
    """Whatever it was; the supervisor decides what becomes of the worker."""
    house.refuses_to_listen = [LookupError("a bug"), StartFailed("the certificate has expired")]

    house.say(Listen())
    expired = await house.heard()
    house.say(Listen())
    bug = await house.heard()
    house.say(Listen())

    assert expired == Listening(problem="the certificate has expired")
    assert isinstance(bug, Listening)
    assert "LookupError" in bug.problem
    assert await house.heard() == Listening()


async def test_calls_that_name_no_model_go_to_the_default(start: Start) -> None:
    """Of two that are published."""
    house = start(default_model="b")
    listener = await house.serving(publish_tiny(house.folder, "a"), publish_tiny(house.folder, "b"))

    assert (await listener.predict(tiny_images(1)[0])).model == "b"


async def test_a_worker_that_stops_drains_and_says_what_it_has_counted(house: House) -> None:
    """The listener turns new calls away before it is stopped, and the end is certain."""
    listener = await house.serving(publish_tiny(house.folder))
    await listener.predict(tiny_images(4)[0])

    house.say(Stop(delay_s=0.01))
    stopped = await house.until(Stopped)
    await house.ended()

    assert stopped.counts.of("tiny", 1).images == 4
    assert listener.told == ["turn away", "stop"]
    assert len(house.must_end_within) == 1


async def test_a_worker_that_has_not_listened_yet_stops_at_once(house: House) -> None:
    """Also while it loads."""
    house.say(Follow(line_up=to_serve(publish_tiny(house.folder))), Stop(delay_s=1000))

    assert isinstance(await house.until(Stopped), Stopped)
    await house.ended()


async def test_a_supervisor_that_is_gone_means_stop(house: House) -> None:
    """However it ended."""
    listener = await house.serving(publish_tiny(house.folder))

    await house.supervisor.close()
    await house.ended()

    assert listener.told == ["turn away", "stop"]


async def test_counts_of_all_workers_are_asked_of_the_supervisor(house: House) -> None:
    """Whoever asks one worker is answered for all."""
    listener = await house.serving(publish_tiny(house.folder))
    asking = asyncio.create_task(
        listener.methods["ModelStatistics"].function(inference_pb2.ModelStatisticsRequest(name="tiny"), CallContext())
    )
    asked = await house.until(AskTotal)
    counts = Counts()
    counts.begin("tiny", 1).images = 77

    house.say(Total(number=asked.number, counts=counts))

    (statistics,) = (await asking).model_stats
    assert statistics.inference_count == 77


class Crash(BaseException):
    """What no run may raise."""


async def test_a_worker_whose_runner_has_ended_wants_to_be_replaced(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then its callers are sent elsewhere, and it still hears."""
    runs, run = [0], Session.run

    def crash(session: Session, parts: Sequence[np.ndarray]) -> Outputs:
        runs[0] += 1
        if runs[0] > 2:  # warming up
            raise Crash
        return run(session, parts)

    monkeypatch.setattr(Session, "run", crash)
    listener = await house.serving(publish_tiny(house.folder))
    with pytest.raises(ModelFailed):
        await listener.predict(tiny_images(1)[0])
    house.say(Ping(number=1))

    assert (await house.until(Broken)).reason.startswith("the runner of tiny version 1 failed: Crash")
    assert (await house.until(Pong)).number == 1
    with pytest.raises(NotReady, match="its runner failed"):
        await listener.predict(tiny_images(1)[0])


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("follow", "the task 'hearing the supervisor' has ended unexpectedly"),
        ("lacks", "the task 'following the line-up' has ended unexpectedly"),
    ],
)
async def test_a_worker_without_one_of_its_tasks_ends(
    house: House, monkeypatch: pytest.MonkeyPatch, broken: str, said: str
) -> None:
    """Half there it would be worse than not at all: deaf, or unable to load."""

    def fail(*_: object) -> None:
        raise LookupError("of a test")

    monkeypatch.setattr(Catalog, broken, fail)
    house.say(Follow(line_up=to_serve(publish_tiny(house.folder))))

    with pytest.raises(EndedUnasked, match=said) as failure:
        await house.ended()
    assert isinstance(failure.value.__cause__, LookupError)


async def test_a_worker_whose_listener_has_ended_ends(house: House) -> None:
    """Nobody could reach it any more."""
    listener = await house.serving(publish_tiny(house.folder))

    listener.ended.set_exception(OSError("too many open files"))

    with pytest.raises(EndedUnasked, match="the task 'listening' has ended unexpectedly"):
        await house.ended()
