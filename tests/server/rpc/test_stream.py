import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import Closed, DomainError, InvalidRequest, Overloaded
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.rpc.stream import MAX_AT_WORK_BYTES, STREAM_WINDOW, Work, answer_in_order, answer_pieces
from vouch.server.serving.gate import Gate


class Source:
    """Numbers from 0, for ever or up to an end; counts how many were read."""

    def __init__(self, end: int | None = None) -> None:
        self.read = 0
        self._end = end

    async def __aiter__(self) -> AsyncIterator[int]:
        while self._end is None or self.read < self._end:
            self.read += 1
            yield self.read - 1


async def settle() -> None:
    """Lets every task that can go on do so."""
    for _ in range(5 * STREAM_WINDOW):
        await asyncio.sleep(0)


async def take(answers: AsyncIterator[int], given: list[int]) -> None:
    """Keeps what came, whatever ends it."""
    async for answer in answers:
        given.append(answer)


async def double(number: int) -> int:
    return 2 * number


async def doubled(number: int, _: Hold) -> int:
    return 2 * number


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


async def test_what_is_ready_before_an_error_that_ends_the_stream_goes_out() -> None:
    """Also where both came together and the error is there as soon as the answer."""

    def answer(number: int) -> Soon[Parts]:
        outputs: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if number == 2:
            outputs.set_exception(InvalidRequest("two"))
        else:
            outputs.set_result(number)
        ready: int | asyncio.Future[int] = outputs if number else number
        return Soon(ready, lambda value: (bytes([value]),))

    async def pieces() -> AsyncIterator[list[int]]:
        yield [0, 1, 2, 3]

    given: list[list[Parts]] = []

    async def keep() -> None:
        async for ready in answer_pieces(pieces(), Work(lambda number, _: answer(number)), Gate(), Hold()):
            given.append(ready)

    with pytest.raises(InvalidRequest, match="two"):
        await keep()

    assert given == [[(b"\0",), (b"\1",)]]


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


async def test_a_stream_that_fails_keeps_nothing_of_its_requests(circles: Callable[[], list[str]]) -> None:
    """Whether an answer fails or there is no room."""

    async def fails(number: int, _: Hold) -> int:
        raise InvalidRequest(f"number {number}")

    async def pieces() -> AsyncIterator[list[int]]:
        yield [0]

    async def ended(work: Work[int, int]) -> None:
        with suppress(InvalidRequest):
            async for _ in answer_pieces(pieces(), work, Gate(), Hold(worker_budget(10_000))):
                pass

    await ended(Work(fails))
    await ended(Work(doubled, size=lambda _: 20_000))
    await settle()

    assert circles() == []


async def test_what_has_no_room_ends_a_stream_that_cannot_say_so_otherwise() -> None:
    """And what came before is answered."""

    async def pieces() -> AsyncIterator[list[int]]:
        yield [0, 1]

    work = Work(doubled, size=lambda number: 5000 + number * 100_000)
    given: list[int] = []

    async def keep() -> None:
        async for ready in answer_pieces(pieces(), work, Gate(), Hold(worker_budget(100_000))):
            given.extend(ready)

    with pytest.raises(InvalidRequest, match="105,000 bytes .* can never fit"):
        await keep()

    assert given == [0]


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


async def test_an_error_of_an_answer_ends_the_stream_at_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    """What came before is answered; errors behind it, which nobody will see, are not logged as forgotten."""

    async def answer(number: int) -> int:
        if number >= 2:
            raise InvalidRequest(f"number {number}")
        return number

    given: list[int] = []
    with pytest.raises(InvalidRequest, match="number 2"):
        await take(answer_in_order(aiter(Source(6)), answer, Gate()), given)
    await settle()
    gc.collect()

    assert given == [0, 1]
    assert not caplog.records


async def test_an_error_of_the_requests_ends_the_stream_after_the_answers() -> None:
    """What was read before a broken message is still answered."""

    async def requests() -> AsyncIterator[int]:
        yield 1
        raise InvalidRequest("garbage")

    given: list[int] = []
    with pytest.raises(InvalidRequest, match="garbage"):
        await take(answer_in_order(requests(), double, Gate()), given)

    assert given == [2]


async def test_a_closing_gate_ends_the_stream_after_what_was_read() -> None:
    """A caller who sends nothing more holds up no drain."""
    gate, never = Gate(), asyncio.Event()

    async def requests() -> AsyncIterator[int]:
        yield 1
        await never.wait()

    answers = answer_in_order(requests(), double, gate)
    first = await anext(answers)
    await gate.close(0)

    assert first == 2
    with pytest.raises(Closed):
        await anext(answers)


async def test_closing_the_generator_cancels_what_is_at_work() -> None:
    """Nothing is computed for a caller who has gone."""
    cancelled: list[int] = []

    async def answer(number: int) -> int:
        if number:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
        return number

    answers: Any = answer_in_order(aiter(Source(4)), answer, Gate())
    await anext(answers)
    await settle()
    await answers.aclose()
    await settle()

    assert cancelled == [1, 2, 3]
