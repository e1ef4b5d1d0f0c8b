import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import uvloop
from pydantic import ValidationError

import vouch.server.link.channel
from vouch.bundle.accuracy import Accuracy
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import Span, Statistics
from vouch.server.lineup.lineup import LineUp, Model, Refusal, RunPlan, Version
from vouch.server.link.channel import Channel, Ends, channel
from vouch.server.link.messages import (
    VARIABLE,
    Applied,
    AskTotal,
    Assignment,
    Follow,
    Listen,
    Listening,
    Loading,
    Order,
    Ping,
    Pong,
    Problem,
    Report,
    Stop,
    Stopped,
    Total,
    assignment,
)
from vouch.server.settings import ServeSettings

COUNTS = Counts({"a": {3: Statistics(queue=Span(4, 5 << 40), runs={8: Span(1, 2), 256: Span(3, 4)}, images=9)}})

LINE_UP = LineUp(
    number=4,
    complete=True,
    models=(
        Model(
            name="a",
            versions=(
                Version(
                    version=1,
                    path=Path("models/a/1"),
                    digest="d",
                    served=Accuracy(correct=9, total=10),
                    plan=RunPlan(threads=2, inline_images=32),
                ),
            ),
            refusals=(Refusal(version=3, reason='not "right"\nat all'),),
            verifying=(4,),
        ),
    ),
)


async def ends() -> tuple[Channel, Channel]:
    ours, theirs = Ends.pair()
    return await channel(ours), await channel(theirs)


async def test_what_is_said_is_heard_in_order_until_the_other_end_is_gone() -> None:
    """Every kind of message arrives as it was."""
    said: list[Order | Report] = [
        Follow(line_up=LINE_UP),
        Listen(),
        Loading(name="a", version=3),
        Applied(number=4, problems=(Problem(name="a", version=3, reason='not "right"\nat all', passing=True),)),
        Listening(problem="the port is taken"),
        Ping(number=7),
        Pong(number=7, counts=COUNTS),
        AskTotal(number=8),
        Total(number=8, counts=COUNTS),
        Stop(),
        Stopped(counts=COUNTS),
    ]
    ours, theirs = await ends()

    for message in said:
        ours.say(message)
    await ours.close()

    assert [message async for message in theirs.heard()] == said
    theirs.say(Stop())  # nobody reads it, and that is no error
    await theirs.close()


async def test_the_other_end_may_be_gone_without_having_read() -> None:
    """A worker that was killed leaves what it was told unread; hearing from it just ends."""
    ours, theirs = Ends.pair()
    end = await channel(ours)
    end.say(Stop())
    await asyncio.sleep(0)
    theirs.close()

    assert [message async for message in end.heard()] == []
    await end.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_last_words_of_one_that_is_gone_are_heard_whatever_it_is_told(run: Callable[..., Sequence[object]]) -> None:
    """A ping to a worker that has just died loses nothing of what it said before: which version it was loading."""

    async def told_and_heard() -> Sequence[object]:
        ours, theirs = Ends.pair()
        end = await channel(ours)
        theirs.writes.sendall(b'{"kind": "loading", "name": "a", "version": 3}\n')
        theirs.close()
        for number in range(3):
            end.say(Ping(number=number))
        said = [message async for message in end.heard()]
        await end.close()
        return said

    assert run(told_and_heard()) == [Loading(name="a", version=3)]


async def test_an_end_that_does_not_read_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing gives up what a stopped process does not take."""
    monkeypatch.setattr(vouch.server.link.channel, "CLOSE_WITHIN_S", 0.05)
    ours, theirs = Ends.pair()
    end = await channel(ours)
    for number in range(100_000):
        end.say(Ping(number=number))

    async with asyncio.timeout(30):
        await end.close()
    theirs.close()


async def test_what_is_not_understood_ends_the_hearing_and_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A worker is then let go and replaced: nobody waits for one that cannot be talked to."""
    ours, theirs = Ends.pair()
    end = await channel(ours)
    theirs.writes.sendall(b'{"kind": "stop"}\n{"kind": "sing"}\n')

    assert [message async for message in end.heard()] == [Stop()]
    assert "is invalid" in caplog.text
    theirs.close()
    await end.close()


def test_a_worker_reads_its_assignment_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All settings as the supervisor has them, whatever the worker's own environment says."""
    settings = ServeSettings(models=tmp_path, max_batch_size=17, grace_s=3)
    assigned = Assignment(settings=settings, port=8081, cores=2, sockets=(5, 6))
    monkeypatch.setenv(VARIABLE, assigned.model_dump_json())
    monkeypatch.setenv("VOUCH_SERVE_MAX_BATCH_SIZE", "99")

    assert assignment() == assigned


def test_an_assignment_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is guessed."""
    monkeypatch.setenv(VARIABLE, '{"port": 1}')

    with pytest.raises(ValidationError):
        assignment()
