import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.streams import Source, doubled, settle
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import DomainError, InvalidRequest, Overloaded
from vouch.server.rpc.stream import MAX_AT_WORK_BYTES, STREAM_WINDOW, Work, answer_in_order, answer_pieces
from vouch.server.serving.gate import Gate


async def test_answers_keep_the_order_though_later_ones_are_ready_first() -> None:
    """The first request is held until all the others are answered."""
    others_done = asyncio.Event()

    async def answer(number: int) -> int:
        if number == 0:
            await others_done.wait()
        elif number == 4:
            others_done.set()
        return 2 * number

    async with asyncio.timeout(10):
        answers = [value async for value in answer_in_order(aiter(Source(5)), answer, Gate())]

    assert answers == [0, 2, 4, 6, 8]


async def test_no_more_than_a_window_is_read_ahead_of_what_was_taken() -> None:
    """A caller who reads no answers is not read from for ever; each answer taken lets one more request in."""
    source = Source()
    answers = answer_pieces(((number,) async for number in source), Work(doubled), Gate(), Hold())

    taken = await anext(answers)
    await settle()
    ahead = source.read
    await anext(answers)
    await settle()

    assert ahead == STREAM_WINDOW
    assert source.read == STREAM_WINDOW + len(taken)
    await answers.aclose()


async def test_fewer_large_requests_are_read_ahead() -> None:
    """So many as have the bytes that a stream may have at work, and one at least."""
    source = Source()
    work = Work(doubled, size=lambda number: MAX_AT_WORK_BYTES // 3)
    answers = answer_pieces(((number,) async for number in source), work, Gate(), Hold())

    await anext(answers)
    await settle()
    ahead = source.read
    await anext(answers)
    await settle()

    assert ahead == 4
    assert source.read > ahead
    await answers.aclose()


async def test_answers_are_held_until_they_have_gone_out() -> None:
    """Four streams whose answers nobody reads take one answer each of the budget, and give it back when they end."""
    budget = worker_budget(1 << 30)
    work = Work(doubled, size=lambda number: 8 << 20)
    streams = [answer_pieces(((n,) async for n in Source()), work, Gate(), Hold(budget)) for _ in range(4)]

    for stream in streams:
        assert await anext(stream) == [0]
    await settle()
    held = budget.kinds["answers"].held
    for stream in streams:
        await stream.aclose()

    assert held == 4 * (8 << 20)
    assert budget.held == 0


async def test_a_stream_waits_for_its_own_answers_where_others_have_taken_the_room() -> None:
    """It has one request at work at a time then; what does not fit even so is refused at its turn, and the rest goes
    on.
    """
    budget = worker_budget(100_000)
    budget.share()
    others = Hold(budget)
    others.take("received", 50_000)
    sizes = [6000, 6000, 7000, 6000]

    async def refused(_: int, err: DomainError) -> int:
        assert isinstance(err, Overloaded)
        return -1

    async def pieces() -> AsyncIterator[list[int]]:
        yield [0, 1, 2, 3]

    work = Work(doubled, size=lambda number: sizes[number], refuse=refused)
    answers = [one async for ready in answer_pieces(pieces(), work, Gate(), Hold(budget)) for one in ready]

    assert answers == [0, 2, -1, 6]
    assert budget.held == 50_000


async def test_answers_that_are_there_together_come_together() -> None:
    """One piece of requests that take no time becomes one piece of answers; an error behind them does not hold them."""
    loop = asyncio.get_running_loop()

    def answer(number: int) -> "asyncio.Future[int]":
        given: asyncio.Future[int] = loop.create_future()
        if number == 3:
            given.set_exception(InvalidRequest("number 3"))
        else:
            given.set_result(2 * number)
        return given

    async def pieces() -> AsyncIterator[list[int]]:
        yield [0, 1, 2]
        yield [4, 5, 3, 6]

    answers = answer_pieces(pieces(), Work(lambda number, _: answer(number)), Gate(), Hold())
    ready = [await anext(answers)]
    while len(ready[-1]) and sum(map(len, ready)) < 5:
        ready.append(await anext(answers))

    assert [value for piece in ready for value in piece] == [0, 2, 4, 8, 10]
    assert len(ready) <= 2
    with pytest.raises(InvalidRequest, match="number 3"):
        await anext(answers)
