import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.support.streams import Source, doubled, settle
from vouch.server.budget import Hold, worker_budget
from vouch.server.errors import Closed, InvalidRequest
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.rpc.stream import Work, answer_in_order, answer_pieces
from vouch.server.serving.gate import Gate


async def take(answers: AsyncIterator[int], given: list[int]) -> None:
    """Keeps what came, whatever ends it."""
    async for answer in answers:
        given.append(answer)


async def double(number: int) -> int:
    return 2 * number


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
