import asyncio

import pytest

from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import Statistics
from vouch.server.link.questions import Questions


async def test_answers_reach_whoever_asked_in_whatever_order_they_come() -> None:
    """Two ask at once, and the second is answered first."""
    questions, said = Questions(), list[int]()
    asking = [asyncio.create_task(questions.ask(said.append, 10)) for _ in range(2)]
    await asyncio.sleep(0)
    counts = [Counts({name: {1: Statistics()}}) for name in ("a", "b")]

    for number, answer in reversed(list(zip(said, counts, strict=True))):
        questions.answered(number, answer)

    assert await asyncio.gather(*asking) == counts
    assert len(set(said)) == 2


async def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    """It came too late, or twice, or is the sign of life that answers a plain ping."""
    questions, said = Questions(), list[int]()
    questions.answered(0, Counts())
    with pytest.raises(TimeoutError):
        await questions.ask(said.append, 0)
    questions.answered(said[0], Counts())

    asking = asyncio.create_task(questions.ask(said.append, 10))
    await asyncio.sleep(0)
    first = Counts({"a": {1: Statistics()}})
    questions.answered(said[1], first)
    questions.answered(said[1], Counts())

    assert await asking == first


async def test_whoever_waits_is_told_when_nobody_can_answer_any_more() -> None:
    """At once, not after the time-out; what was answered before stays answered."""
    questions, said = Questions(), list[int]()
    asking = [asyncio.create_task(questions.ask(said.append, 600)) for _ in range(2)]
    await asyncio.sleep(0)
    questions.answered(said[0], Counts())

    questions.end()

    assert await asking[0] == Counts()
    with pytest.raises(TimeoutError, match="the other side of the channel has closed"):
        await asking[1]
