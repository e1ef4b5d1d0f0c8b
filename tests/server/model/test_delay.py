import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest

from tests.support.virtual_time import busy, run_virtually
from vouch.server.errors import DeadlineExpired
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.request import Rows


class Inline(Executor):
    """Runs where it is asked to: with it, what takes time is the delay alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as err:
            future.set_exception(err)
        return future


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vouch.server.model.batcher.ThreadPoolExecutor", Inline)


def delaying(delay_s: float, batches: list[int] | None = None, at_once: int = 1) -> Batcher:
    """Batches of 4; how many images each run had is kept."""

    def run(parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        if batches is not None:
            batches.append(len(images))
        return (images,)

    return start_batcher(run, Limits(4, 100, inline_images=4, delay_s=delay_s, at_once=at_once))


async def taken(batcher: Batcher, size: int, deadline_in_s: float | None = None) -> float:
    """Seconds from asking to the answer."""
    started = asyncio.get_running_loop().time()
    deadline = None if deadline_in_s is None else started + deadline_in_s
    await batcher.submit(np.zeros((size, 2)), deadline)
    return asyncio.get_running_loop().time() - started


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_batch_that_is_not_full_waits_as_long_as_it_was_told_to(at_once: int) -> None:
    """And a full one not at all."""

    async def go() -> None:
        batcher = delaying(0.5, at_once=at_once)
        assert await taken(batcher, 1) == pytest.approx(0.5)
        assert await taken(batcher, 4) == pytest.approx(0.0)
        assert await taken(batcher, 9) == pytest.approx(0.5), "two full ones, and a rest that waits"
        await batcher.close()

    run_virtually(go())


def test_without_a_delay_nobody_waits() -> None:
    """The default."""

    async def go() -> None:
        batcher = delaying(0.0)
        assert await taken(batcher, 1) == 0.0
        await batcher.close()

    run_virtually(go())


def test_who_comes_meanwhile_runs_along_and_the_first_sets_the_time() -> None:
    """A stream of late arrivals does not hold up the first."""

    async def go() -> tuple[list[float], list[int]]:
        batches: list[int] = []
        batcher = delaying(0.5, batches)
        first = asyncio.create_task(taken(batcher, 1))
        await asyncio.sleep(0.2)
        second = asyncio.create_task(taken(batcher, 1))
        times = list(await asyncio.gather(first, second))
        await batcher.close()
        return times, batches

    times, batches = run_virtually(go())
    assert times == pytest.approx([0.5, 0.3])
    assert batches == [2]


def test_filling_the_batch_ends_the_wait() -> None:
    """There is nothing left to wait for."""

    async def go() -> list[float]:
        batcher = delaying(0.5)
        first = asyncio.create_task(taken(batcher, 3))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(taken(batcher, 1))
        times = list(await asyncio.gather(first, second))
        await batcher.close()
        return times

    assert run_virtually(go()) == pytest.approx([0.1, 0.0])


def test_a_deadline_cuts_the_wait_to_half_of_the_time_there_is() -> None:
    """A delay never makes a request late that would have been in time."""

    async def go() -> list[float]:
        batcher = delaying(0.5)
        patient = asyncio.create_task(taken(batcher, 1))
        hurried = asyncio.create_task(taken(batcher, 1, deadline_in_s=0.1))
        times = list(await asyncio.gather(patient, hurried))
        await batcher.close()
        return times

    assert run_virtually(go()) == pytest.approx([0.05, 0.05])


def test_who_leaves_while_waiting_leaves_nothing_to_run() -> None:
    """The others' time is not changed by it."""

    async def go() -> list[int]:
        batches: list[int] = []
        batcher = delaying(0.5, batches)
        leaving = asyncio.create_task(taken(batcher, 1))
        staying = asyncio.create_task(taken(batcher, 2))
        await asyncio.sleep(0.1)
        leaving.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting_images == 2
        assert await staying == pytest.approx(0.5)
        await batcher.close()
        return batches

    assert run_virtually(go()) == [2]


def test_a_deadline_that_passed_while_the_process_was_busy_is_told() -> None:
    """Its images never reach the model."""

    async def go() -> list[int]:
        batches: list[int] = []
        batcher = delaying(0.5, batches)
        late = asyncio.create_task(taken(batcher, 1, deadline_in_s=0.1))
        await asyncio.sleep(0)
        busy(0.2)
        with pytest.raises(DeadlineExpired):
            await late
        await batcher.close()
        return batches

    assert run_virtually(go()) == []


def test_closing_ends_the_wait() -> None:
    """What waits is answered, now."""

    async def go() -> float:
        batcher = delaying(100.0)
        waiting = asyncio.create_task(taken(batcher, 1))
        await asyncio.sleep(0.1)
        await batcher.close()
        return await waiting

    assert run_virtually(go()) == pytest.approx(0.1)
