import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.batching import HeldModel, batching, submit
from vouch.server.counting.statistics import BatchDone
from vouch.server.errors import Closed, DeadlineExpired, ModelFailed
from vouch.server.model.gathering import GATHERED_BYTES, TURNS
from vouch.server.model.request import Rows


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
