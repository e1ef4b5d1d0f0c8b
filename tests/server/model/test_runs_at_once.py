import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.batching import batching, submit, until, until_told, until_waiting
from vouch.server.budget import Budget
from vouch.server.counting.statistics import BatchDone
from vouch.server.errors import ModelFailed
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.request import Rows


class Ordered:
    """Doubles its input; runs are let go one by one, in any order."""

    def __init__(self) -> None:
        self.gates: dict[int, threading.Event] = {}
        """First value of a run -> what lets it go."""
        self.most, self._now = 0, 0
        self._lock = threading.Lock()

    def __call__(self, parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        with self._lock:
            gate = self.gates.setdefault(int(images[0]), threading.Event())
            self._now += 1
            self.most = max(self.most, self._now)
        assert gate.wait(10)
        with self._lock:
            self._now -= 1
        return images * 2, images + 1000

    async def until_running(self, *firsts: int) -> None:
        await until(lambda: set(firsts) <= set(self.gates))


async def test_as_many_runs_are_made_at_once_as_may_be() -> None:
    """And no more; who comes first is run first."""
    model = Ordered()
    async with batching(model, at_once=2) as batcher:
        tasks = list[asyncio.Task[Rows]]()
        for value in (1, 2):
            tasks.append(submit(batcher, value))
            await model.until_running(value)
        tasks.append(submit(batcher, 3))
        await until_waiting(batcher, 1)
        model.gates[2].set()
        assert (await tasks[1])[0].tolist() == [4]
        await model.until_running(3)
        assert not tasks[0].done()
        for value in (1, 3):
            model.gates[value].set()
        assert [(await task)[0].tolist() for task in tasks] == [[2], [4], [6]]
    assert model.most == 2


async def test_a_long_request_has_its_rows_in_order_whichever_run_ends_first() -> None:
    """Its last images may be there before its first."""
    model, done = Ordered(), list[BatchDone]()
    async with batching(model, max_batch_size=2, at_once=3, on_batch=done.append) as batcher:
        task = submit(batcher, 1, 2, 3, 4, 5)
        await model.until_running(1, 3, 5)
        for count, value in enumerate((5, 1, 3), 1):
            assert not task.done()
            model.gates[value].set()
            await until_told(done, count)
        assert [rows.tolist() for rows in await task] == [[2, 4, 6, 8, 10], [1001, 1002, 1003, 1004, 1005]]
    assert [(one.images, len(one.waits_ns)) for one in done] == [(1, 0), (2, 0), (2, 1)]


async def test_a_request_that_is_given_up_is_held_until_the_last_of_its_runs_ends() -> None:
    """The model still reads its images."""
    share, done = Budget(100).share(), list[BatchDone]()
    model = Ordered()
    batcher = start_batcher(model, Limits(1, 100, at_once=2), share, on_batch=done.append)
    task = submit(batcher, 1, 2)
    await model.until_running(1, 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held = [share.held]
    for count, value in enumerate((2, 1), 1):
        model.gates[value].set()
        await until_told(done, count)
        held.append(share.held)
    await batcher.close()

    assert held == [16, 16, 0]


async def test_of_several_runners_one_that_dies_takes_only_its_own_run_and_those_who_wait_with_it() -> None:
    """What another has begun is still answered, and nobody hangs."""

    class Crash(BaseException):
        pass

    deaths, model = list[BaseException](), Ordered()

    def run(parts: Sequence[np.ndarray]) -> Rows:
        rows = model(parts)
        if parts[0][0] == 2:
            raise Crash
        return rows

    batcher = start_batcher(run, Limits(1, 100, at_once=2), on_death=deaths.append)
    first = submit(batcher, 1)
    await model.until_running(1)
    second = submit(batcher, 2)
    await model.until_running(2)
    waiting = submit(batcher, 3)
    await until_waiting(batcher, 1)
    model.gates[2].set()
    lost = await asyncio.gather(second, waiting, return_exceptions=True)
    model.gates[1].set()

    assert [type(err) for err in lost] == [ModelFailed, ModelFailed]
    assert (await first)[0].tolist() == [2]
    assert [type(err) for err in deaths] == [Crash]
    await batcher.close()
