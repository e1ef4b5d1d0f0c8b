import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.batching import HeldModel, batching, submit, until_waiting
from vouch.server.counting.statistics import BatchDone
from vouch.server.errors import Closed, DeadlineExpired, ModelFailed, Overloaded
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.request import Rows


async def test_answers_come_back_to_the_caller_who_asked_in_the_order_of_its_images() -> None:
    """Callers whose images ran together each get their own rows."""
    model = HeldModel()
    async with batching(model) as batcher:
        first = submit(batcher, 1)
        await model.wait_until_running()
        others = [submit(batcher, 2, 3), submit(batcher, 4)]
        await until_waiting(batcher, 3)
        model.let_all_go()

        assert (await first)[0].tolist() == [2]
        assert [(await other)[0].tolist() for other in others] == [[4, 6], [8]]
        assert (await others[0])[1].tolist() == [1002, 1003]
        assert model.batches == [[1], [2, 3, 4]]


async def test_a_lone_request_runs_without_delay() -> None:
    """No delay is added to wait for others."""
    model = HeldModel(held=False)
    async with batching(model) as batcher:
        await submit(batcher, 1)

        assert model.batches == [[1]]


async def test_a_long_request_runs_in_several_batches_and_lets_others_in_between() -> None:
    """Nobody waits behind all of a request of many batches."""
    model = HeldModel()
    async with batching(model, max_batch_size=2) as batcher:
        long = submit(batcher, 1, 2, 3, 4, 5, 6)
        await model.wait_until_running()
        short = submit(batcher, 7)
        await until_waiting(batcher, 5)
        model.let_go(3)

        assert (await short)[0].tolist() == [14]
        assert not long.done()
        model.let_all_go()
        assert (await long)[0].tolist() == [2, 4, 6, 8, 10, 12]
        assert (await long)[1].tolist() == [1001, 1002, 1003, 1004, 1005, 1006]


async def test_every_run_is_told_of_once_with_the_requests_that_it_finished() -> None:
    """A long request counts in its last run, and has waited until that began."""
    model, runs = HeldModel(), list[BatchDone]()
    async with batching(model, max_batch_size=2, on_batch=runs.append) as batcher:
        long = submit(batcher, 1, 2, 3)
        await model.wait_until_running()
        short = submit(batcher, 7)
        await until_waiting(batcher, 2)
        model.let_all_go()
        await asyncio.gather(long, short)

        assert [(done.images, len(done.waits_ns), done.failed) for done in runs] == [(2, 0, False), (2, 2, False)]
        assert runs[0].waits_ns == ()
        assert max(runs[1].waits_ns) > runs[0].run_ns > 0


async def test_a_caller_who_has_its_answer_has_been_counted() -> None:
    """Counts never lag behind what callers know."""
    runs = list[BatchDone]()
    async with batching(HeldModel(held=False), on_batch=runs.append) as batcher:
        for count in range(1, 4):
            await submit(batcher, 1)

            assert len(runs) == count


async def test_a_failed_run_is_told_of_with_all_who_fail_by_it() -> None:
    """A long request fails with the first of its runs that does, and is told of once."""

    def fail(parts: Sequence[np.ndarray]) -> Rows:
        raise ZeroDivisionError(len(parts))

    runs = list[BatchDone]()
    async with batching(fail, max_batch_size=2, on_batch=runs.append) as batcher:
        with pytest.raises(ModelFailed):
            await submit(batcher, 1, 2, 3)

    assert [(done.images, len(done.waits_ns), done.failed) for done in runs] == [(2, 1, True)]


async def test_a_caller_who_left_during_the_run_is_not_counted() -> None:
    """The run is, as it took place."""
    model, runs = HeldModel(), list[BatchDone]()
    async with batching(model, on_batch=runs.append) as batcher:
        caller = submit(batcher, 1)
        await model.wait_until_running()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        model.let_all_go()
        await submit(batcher, 2)

    assert [(done.images, len(done.waits_ns)) for done in runs] == [(1, 0), (1, 1)]


async def test_a_cancelled_caller_is_dropped_before_the_run() -> None:
    """Its images never reach the model, its place is free at once, and its neighbours are answered."""
    model = HeldModel()
    async with batching(model) as batcher:
        first = submit(batcher, 1)
        await model.wait_until_running()
        leaving, staying = submit(batcher, 2, 3), submit(batcher, 4)
        await until_waiting(batcher, 3)
        leaving.cancel()
        await until_waiting(batcher, 1)
        model.let_all_go()

        assert (await staying)[0].tolist() == [8]
        await first
        assert leaving.cancelled()
        assert model.batches == [[1], [4]]
        assert batcher.waiting_images == 0


async def test_a_caller_cancelled_during_its_run_disturbs_nobody() -> None:
    """The batch it was in still answers the others."""
    model = HeldModel()
    async with batching(model) as batcher:
        first = submit(batcher, 1)
        await model.wait_until_running()
        leaving, staying = submit(batcher, 2), submit(batcher, 3)
        await until_waiting(batcher, 2)
        model.let_go()
        await model.wait_until_running()
        leaving.cancel()
        model.let_all_go()

        assert (await staying)[0].tolist() == [6]
        assert (await first)[0].tolist() == [2]
        with pytest.raises(asyncio.CancelledError):
            await leaving


async def test_an_expired_caller_is_told_so_and_its_images_never_reach_the_model() -> None:
    """A deadline that passes in the queue ends the request there."""
    model = HeldModel()
    async with batching(model) as batcher:
        first = submit(batcher, 1)
        await model.wait_until_running()
        expired = submit(batcher, 2, deadline=asyncio.get_running_loop().time() - 1)
        alive = submit(batcher, 3, deadline=asyncio.get_running_loop().time() + 60)
        await until_waiting(batcher, 2)
        model.let_all_go()

        with pytest.raises(DeadlineExpired):
            await expired
        assert (await alive)[0].tolist() == [6]
        await first
        assert model.batches == [[1], [3]]
        assert batcher.waiting_images == 0


async def test_too_few_rows_are_never_handed_out() -> None:
    """A model that loses rows fails the batch instead of mixing up its callers."""
    async with batching(lambda parts: (np.concatenate(parts)[:-1],)) as batcher:
        with pytest.raises(ModelFailed, match=r"answered 2 images with \[1\] rows"):
            await submit(batcher, 1, 2)


async def test_a_failed_batch_fails_its_own_callers_only() -> None:
    """The next batch is answered as if nothing had been; the model's own words stay in the cause."""

    def run(parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        if 13 in images:
            raise ValueError("unlucky")
        return (images,)

    async with batching(run) as batcher:
        with pytest.raises(ModelFailed, match="failed on 1 images") as failure:
            await submit(batcher, 13)

        assert (await submit(batcher, 5))[0].tolist() == [5]
        assert isinstance(failure.value.__cause__, ValueError)


async def test_a_full_queue_refuses_at_once_and_takes_again_when_there_is_room() -> None:
    """Overload is an immediate error that enqueues nothing."""
    model = HeldModel()
    async with batching(model, max_queue_images=3) as batcher:
        first = submit(batcher, 1)
        await model.wait_until_running()
        waiting = submit(batcher, 2, 3)
        await until_waiting(batcher, 2)

        with pytest.raises(Overloaded, match="2 images are waiting, and the limit is 3; 2 more do not fit"):
            await submit(batcher, 4, 5)
        fitting = submit(batcher, 6)
        await until_waiting(batcher, 3)
        model.let_all_go()
        assert (await fitting)[0].tolist() == [12]
        await asyncio.gather(first, waiting)
        assert batcher.waiting_images == 0


async def test_close_refuses_new_work_and_answers_what_waits() -> None:
    """Closing loses no accepted request."""
    model = HeldModel()
    batcher = start_batcher(model, Limits(4, 100))
    first = submit(batcher, 1)
    await model.wait_until_running()
    waiting = submit(batcher, 2)
    await until_waiting(batcher, 1)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)

    with pytest.raises(Closed):
        await submit(batcher, 3)
    model.let_all_go()
    await closing
    assert [(await task)[0].tolist() for task in (first, waiting)] == [[2], [4]]


async def test_a_dead_runner_fails_everyone_who_waits_and_says_so() -> None:
    """Nobody hangs on a runner that a bug has ended, and its owner hears of it."""

    class Crash(BaseException):
        pass

    deaths: list[BaseException] = []
    model = HeldModel()

    def crash(parts: Sequence[np.ndarray]) -> Rows:
        model(parts)
        raise Crash

    batcher = start_batcher(crash, Limits(4, 100), on_death=deaths.append)
    running = submit(batcher, 1)
    await model.wait_until_running()
    waiting = submit(batcher, 3)
    await until_waiting(batcher, 1)
    model.let_all_go()

    results = await asyncio.gather(running, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [ModelFailed, ModelFailed]
    with pytest.raises(ModelFailed, match="has ended"):
        await submit(batcher, 4)
    assert [type(err) for err in deaths] == [Crash]
    await batcher.close()


async def test_images_that_cannot_be_stacked_fail_their_batch_and_not_the_runner() -> None:
    """A mistake of whoever submits costs one batch."""
    model = HeldModel()
    async with batching(model) as batcher:
        first = submit(batcher, 1)
        await model.wait_until_running()
        odd = asyncio.get_running_loop().create_task(batcher.submit(np.zeros((1, 2, 2))))
        mate = submit(batcher, 3)
        await until_waiting(batcher, 2)
        model.let_all_go()

        await first
        results = await asyncio.gather(odd, mate, return_exceptions=True)
        assert [type(result) for result in results] == [ModelFailed, ModelFailed]
        assert (await submit(batcher, 4))[0].tolist() == [8]


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    max_batch_size=st.integers(1, 8),
    at_once=st.integers(1, 3),
)
def test_any_split_into_requests_gives_each_caller_its_own_rows(
    sizes: list[int], max_batch_size: int, at_once: int
) -> None:
    """Rows are neither lost, repeated nor mixed up, and no run is larger than allowed."""
    values = iter(range(sum(sizes)))
    requests = [[next(values) for _ in range(size)] for size in sizes]
    model = HeldModel(held=False)

    async def run() -> list[Rows]:
        async with batching(model, max_batch_size, 1000, at_once=at_once) as batcher:
            return await asyncio.gather(*(submit(batcher, *request) for request in requests))

    answers = asyncio.run(run())

    assert [answer[0].tolist() for answer in answers] == [[2 * value for value in request] for request in requests]
    assert max(map(len, model.batches)) <= max_batch_size
