import asyncio
from collections.abc import AsyncIterator

import pytest

from vouch.server.errors import Closed, DeadlineExpired
from vouch.server.rpc.waiting import WATCHED_AFTER_S, CallerLeft, until, until_closing
from vouch.server.serving.gate import Gate

WITHIN_S = 10


class Source:
    """Pieces that are put into it, for ever; knows whether somebody waits for one."""

    def __init__(self, *pieces: int) -> None:
        self._pieces: asyncio.Queue[int] = asyncio.Queue()
        for piece in pieces:
            self._pieces.put_nowait(piece)
        self.waited_for = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[int]:
        while True:
            if self._pieces.empty():
                self.waited_for.set()
            yield await self._pieces.get()


async def taken(source: Source, gate: Gate, given: list[int]) -> None:
    async for piece in until_closing(aiter(source), gate):
        given.append(piece)


async def test_a_wait_for_the_next_piece_ends_when_the_gate_closes() -> None:
    """What had come is handed on before; the task goes on as if nobody had cancelled it."""
    source, gate, given = Source(1, 2), Gate(), list[int]()

    async def take() -> bool:
        with pytest.raises(Closed):
            await taken(source, gate, given)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        return task is not None and not task.cancelling()

    taking = asyncio.create_task(take())
    async with asyncio.timeout(WITHIN_S):
        await source.waited_for.wait()
        await gate.close(0)
        assert await taking

    assert given == [1, 2]


async def test_whoever_is_busy_when_the_gate_closes_is_not_disturbed() -> None:
    """It is told at the next piece, even if that has come already."""
    gate, given = Gate(), list[int]()
    pieces = until_closing(aiter(Source(1, 2)), gate)
    given.append(await anext(pieces))
    await gate.close(0)
    await asyncio.sleep(0)

    with pytest.raises(Closed):
        await anext(pieces)
    assert given == [1]


async def test_a_caller_who_leaves_while_the_gate_closes_has_left() -> None:
    """Its task's cancelling is never taken for the gate's."""
    source, gate, given = Source(), Gate(), list[int]()
    taking = asyncio.create_task(taken(source, gate, given))
    async with asyncio.timeout(WITHIN_S):
        await source.waited_for.wait()
        taking.cancel()
        await gate.close(0)

        with pytest.raises(asyncio.CancelledError):
            await taking


async def test_pieces_that_end_end() -> None:
    """Nothing is kept at the gate."""
    gate = Gate()

    async def pieces() -> AsyncIterator[int]:
        yield 1

    assert [piece async for piece in until_closing(pieces(), gate)] == [1]
    await gate.close(0)


async def test_a_deadline_that_passes_is_the_callers() -> None:
    """DeadlineExpired, when it has come and not before."""
    with pytest.raises(DeadlineExpired):
        async with until(asyncio.get_running_loop().time()):
            await asyncio.Event().wait()


@pytest.mark.parametrize("deadline_s", [None, 60.0])
async def test_a_timeout_from_within_is_none(deadline_s: float | None) -> None:
    """It goes on as it is, whether or not there is a deadline."""
    deadline = deadline_s and asyncio.get_running_loop().time() + deadline_s
    with pytest.raises(TimeoutError, match="of a lock"):
        async with until(deadline):
            raise TimeoutError("of a lock")


async def test_a_caller_who_leaves_at_once_costs_an_answer_that_is_soon_there_nothing() -> None:
    """Its leaving shows when the answer is written; nobody has looked for it before."""
    looked = 0

    async def at_once() -> None:
        nonlocal looked
        looked += 1

    async with until(None, at_once):
        await asyncio.sleep(0)
    await asyncio.sleep(2 * WATCHED_AFTER_S)

    assert not looked


async def test_a_caller_who_stays_is_no_longer_watched_when_the_answer_is_there() -> None:
    """The watch has ended when the call goes on, and the task has not been cancelled."""
    ended = asyncio.Event()

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with until(None, never):
        await asyncio.sleep(3 * WATCHED_AFTER_S)
    task = asyncio.current_task()

    assert ended.is_set()
    assert task is not None
    assert not task.cancelling()


async def test_a_watch_that_fails_is_a_caller_who_left() -> None:
    """And the task goes on, as if nobody had cancelled it."""

    async def broken() -> None:
        raise OSError("connection lost")

    with pytest.raises(CallerLeft):
        async with until(None, broken):
            await asyncio.Event().wait()
    task = asyncio.current_task()

    assert task is not None
    assert not task.cancelling()


@pytest.mark.parametrize("deadline_s", [None, 60.0])
async def test_a_task_that_others_cancel_is_cancelled(deadline_s: float | None) -> None:
    """That is neither the deadline nor the caller, whom it watches."""

    async def never() -> None:
        await asyncio.Event().wait()

    async def wait() -> None:
        async with until(deadline_s and asyncio.get_running_loop().time() + deadline_s, never):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(2 * WATCHED_AFTER_S)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_of_a_deadline_and_a_caller_who_left_the_first_counts() -> None:
    """One error, whatever follows it while the work ends."""

    async def left() -> None:
        await asyncio.sleep(WATCHED_AFTER_S)

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(4 * WATCHED_AFTER_S)

    with pytest.raises(DeadlineExpired):
        async with until(asyncio.get_running_loop().time() + WATCHED_AFTER_S, left):
            await slow_to_end()


async def test_what_nobody_waits_for_any_more_is_cancelled() -> None:
    """And has ended when the call does."""
    began, cancelled, leaving = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def left() -> None:
        await leaving.wait()

    async def call() -> None:
        async with until(None, left):
            await answer()

    waiting = asyncio.create_task(call())
    async with asyncio.timeout(WITHIN_S):
        await began.wait()
        leaving.set()
        with pytest.raises(CallerLeft):
            await waiting

    assert cancelled.is_set()
