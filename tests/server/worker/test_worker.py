"""A worker over a socket pair, with this test as its supervisor and a listener that only keeps what it is told."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.tiny import publish_tiny, tiny_images
from tests.support.workers import WITHIN_S, House, Start, house, start, to_serve
from vouch.protos.inference import inference_pb2
from vouch.server.counting.counts import Counts
from vouch.server.errors import StartFailed
from vouch.server.link.messages import (
    Applied,
    AskTotal,
    Follow,
    Listen,
    Listening,
    Loading,
    Ping,
    Pong,
    Total,
)
from vouch.server.model.session import Outputs, Session
from vouch.server.rpc.context import CallContext

__all__ = ["house", "start"]


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
