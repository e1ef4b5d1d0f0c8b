from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.tiny import publish_tiny, tiny_images
from tests.support.workers import House, house, start, to_serve
from vouch.server.errors import ModelFailed, NotReady
from vouch.server.link.messages import (
    Broken,
    Follow,
    Ping,
    Pong,
    Stop,
    Stopped,
)
from vouch.server.model.session import Outputs, Session
from vouch.server.serving.catalog import Catalog
from vouch.server.worker.worker import EndedUnasked

__all__ = ["house", "start"]


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
