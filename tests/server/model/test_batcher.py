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
from vouch.server.model.gathering import GATHERED_BYTES, TURNS
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


async def test_what_comes_within_a_turn_of_the_loop_runs_together_on_it() -> None:
    """Small requests to a fast model: one run, no thread, each caller its own rows."""
    model, told = HeldModel(held=False), list[BatchDone]()
    async with batching(model, 8, on_batch=told.append, inline_images=8) as batcher:
        answers = await asyncio.gather(submit(batcher, 1), submit(batcher, 2, 3), submit(batcher, 4))

        assert model.batches == [[1, 2, 3, 4]]
        assert [answer[0].tolist() for answer in answers] == [[2], [4, 6], [8]]
        assert [(done.images, len(done.waits_ns)) for done in told] == [(4, 3)]


async def test_no_turn_runs_more_images_on_the_loop_than_it_may() -> None:
    """Those who come later in the turn share the next one."""
    model = HeldModel(held=False)
    async with batching(model, 8, inline_images=3) as batcher:
        await asyncio.gather(*(submit(batcher, *values) for values in ((1, 2), (3, 4), (5,))))

        assert model.batches == [[1, 2], [3, 4, 5]]


async def test_large_requests_are_not_copied_to_run_together() -> None:
    """From some size on a run of one's own costs less than the copy."""
    model = HeldModel(held=False)
    large = np.zeros((4, GATHERED_BYTES // 32), np.int64)
    async with batching(model, 8, inline_images=8) as batcher:
        await asyncio.gather(batcher.submit(large), batcher.submit(large))

        assert [len(batch) for batch in model.batches] == [4, 4]


async def test_a_request_of_several_batches_may_run_on_the_loop_too() -> None:
    """Batch after batch, none longer than the largest, and each is counted; the request counts in its last."""
    model, told = HeldModel(held=False), list[BatchDone]()
    async with batching(model, 2, on_batch=told.append, inline_images=8) as batcher:
        answer = await submit(batcher, 1, 2, 3, 4, 5)

        assert model.batches == [[1, 2], [3, 4], [5]]
        assert [rows.tolist() for rows in answer] == [[2, 4, 6, 8, 10], [1001, 1002, 1003, 1004, 1005]]
        assert [(done.images, len(done.waits_ns)) for done in told] == [(2, 0), (2, 0), (1, 1)]


async def test_what_was_gathered_beyond_a_batch_runs_in_several_and_each_is_counted() -> None:
    """A request may have its rows from two of them; it counts in the one that finishes it."""
    model, told = HeldModel(held=False), list[BatchDone]()
    async with batching(model, 4, on_batch=told.append, inline_images=9) as batcher:
        answers = await asyncio.gather(*(submit(batcher, *values) for values in ((1, 2, 3), (4, 5, 6), (7, 8, 9))))

        assert model.batches == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
        assert [answer[0].tolist() for answer in answers] == [[2, 4, 6], [8, 10, 12], [14, 16, 18]]
        assert [(done.images, len(done.waits_ns)) for done in told] == [(4, 1), (4, 1), (1, 1)]


async def test_of_several_runs_on_the_loop_one_that_fails_fails_those_in_it_alone() -> None:
    """And what is left of such a request is not run any more."""
    seen: list[list[int]] = []

    def run(parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        seen.append(images.tolist())
        if images[0] < 0:
            raise ValueError("negative")
        return (images,)

    async with batching(run, 2, inline_images=9) as batcher:
        callers = [submit(batcher, *values) for values in ((1, 2), (-3, 4, 5, 6), (7,))]
        good, bad, other = await asyncio.gather(*callers, return_exceptions=True)

        assert isinstance(bad, ModelFailed)
        assert not isinstance(good, BaseException)
        assert not isinstance(other, BaseException)
        assert (good[0].tolist(), other[0].tolist()) == ([1, 2], [7])
        assert [5, 6] not in seen


async def test_a_failed_run_gives_each_of_its_callers_an_error_of_its_own() -> None:
    """One that is raised in two places mixes the tracebacks of both."""

    def fail(parts: Sequence[np.ndarray]) -> Rows:
        raise ZeroDivisionError(len(parts))

    for inline_images in (0, 8):
        async with batching(fail, 8, inline_images=inline_images) as batcher:
            first, other = await asyncio.gather(submit(batcher, 1), submit(batcher, 2), return_exceptions=True)
        closed = await asyncio.gather(submit(batcher, 1), submit(batcher, 2), return_exceptions=True)

        assert isinstance(first, ModelFailed)
        assert isinstance(other, ModelFailed)
        assert first is not other
        assert isinstance(first.__cause__, ZeroDivisionError)
        assert closed[0] is not closed[1]


async def test_callers_who_come_one_by_one_wait_for_nobody_and_are_gathered_again_when_they_come_together() -> None:
    """Answers are there at once where gathering did not pay, until several come within one turn again."""
    model = HeldModel(held=False)
    async with batching(model, 8, inline_images=8) as batcher:
        for value in range(100):
            await batcher.submit(np.array([value]))
        alone = [batcher.run_inline(np.array([value])) for value in range(2)]
        assert [type(answer) for answer in alone] == [tuple, tuple]

        for _ in range(20 * TURNS):
            await asyncio.gather(*(submit(batcher, value) for value in range(8)))
        model.batches.clear()
        await asyncio.gather(*(submit(batcher, value) for value in range(8)))
        assert model.batches == [list(range(8))]


async def test_a_failed_run_on_the_loop_fails_all_who_shared_it_and_nobody_else() -> None:
    """As in the thread."""

    def run(parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        if images[0] < 0:
            raise ValueError("negative")
        return (images,)

    async with batching(run, 8, inline_images=8) as batcher:
        failed = await asyncio.gather(submit(batcher, -1), submit(batcher, 2), return_exceptions=True)

        assert [type(one) for one in failed] == [ModelFailed, ModelFailed]
        assert (await submit(batcher, 3))[0].tolist() == [3]


@pytest.mark.parametrize("fails", ["raises", "loses rows", "gives no rows"])
async def test_a_request_that_is_run_alone_and_fails_is_told_once(fails: str) -> None:
    """Its error is in a future, as that of a run with others; the next request is answered."""
    done: list[BatchDone] = []

    def run(parts: Sequence[np.ndarray]) -> Rows:
        (images,) = parts
        if images[0]:
            return (images,)
        if fails == "raises":
            raise ValueError("nought")
        return (images[1:],) if fails == "loses rows" else (7,)  # type: ignore[return-value]

    large = np.zeros(GATHERED_BYTES, np.uint8)
    async with batching(run, len(large), on_batch=done.append, inline_images=len(large)) as batcher:
        failed = batcher.run_inline(large)

        assert isinstance(failed, asyncio.Future)
        assert isinstance(failed.exception(), ModelFailed)
        assert [(one.images, one.waits_ns, one.failed) for one in done] == [(len(large), (0,), True)]
        assert isinstance(batcher.run_inline(large + 1), tuple)


async def test_a_caller_who_leaves_within_the_turn_disturbs_nobody() -> None:
    """Its images run with the others', and nobody is told."""
    model = HeldModel(held=False)
    async with batching(model, 8, inline_images=8) as batcher:
        leaving, staying = submit(batcher, 1), submit(batcher, 2)
        await asyncio.sleep(0)
        leaving.cancel()

        assert (await staying)[0].tolist() == [4]
        with pytest.raises(asyncio.CancelledError):
            await leaving


async def test_a_deadline_that_has_passed_keeps_images_from_the_loops_runs_too() -> None:
    """They never reach the model."""
    model = HeldModel(held=False)
    async with batching(model, 8, inline_images=8) as batcher:
        with pytest.raises(DeadlineExpired):
            await batcher.submit(np.array([1]), asyncio.get_running_loop().time())

        assert model.batches == []


async def test_closing_answers_what_came_within_the_turn() -> None:
    """Accepted is answered."""
    model = HeldModel(held=False)
    async with batching(model, 8, inline_images=8) as batcher:
        waiting = submit(batcher, 1)
        await asyncio.sleep(0)
        await batcher.close()

        assert (await waiting)[0].tolist() == [2]
        with pytest.raises(Closed):
            await submit(batcher, 2)


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
