import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouch.server.errors import DomainError, Overloaded
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.budget import Budget, Share
from vouch.server.model.request import Rows


def test_each_model_may_always_hold_its_part() -> None:
    """What others have taken beyond theirs never costs a model its own."""
    budget = Budget(100)
    flooded, other = budget.share(), budget.share()
    while flooded.take(10):
        pass

    assert flooded.held == 50
    assert [other.take(10) for _ in range(6)] == [True] * 5 + [False]


def test_a_model_on_its_own_may_hold_it_all() -> None:
    """A part is of the models that are served, not of those that might be."""
    budget = Budget(100)
    alone, gone = budget.share(), budget.share()
    gone.end()

    assert [alone.take(50) for _ in range(3)] == [True, True, False]


def test_one_request_is_taken_whatever_its_size_if_nothing_of_its_model_waits() -> None:
    """A request larger than the part would otherwise be refused for ever, with advice to come back later."""
    share, _, _ = (budget := Budget(100)).share(), budget.share(), budget.share()

    assert share.take(90)
    assert not share.take(1)
    share.give_back(90)
    assert share.take(1)


def test_a_refusal_says_how_much_waits() -> None:
    """In bytes, as it is set."""
    share = Budget(2_000_000).share()
    share.take(1_500_000)

    assert str(share) == "1,500,000 bytes of this model wait, of 2,000,000 that may over all models"


@given(total=st.integers(0, 300), steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 120)), max_size=40))
def test_no_more_is_held_than_the_budget_but_for_one_request_a_model(total: int, steps: list[tuple[int, int]]) -> None:
    """Whatever comes, and whoever sends it."""
    budget = Budget(total)
    shares = [budget.share() for _ in range(3)]
    largest = 0
    for which, count in steps:
        alone = not shares[which].held
        if shares[which].take(count) and alone:
            largest = max(largest, count)

        assert sum(share.held for share in shares) <= total + len(shares) * largest


async def test_a_flooded_model_refuses_and_its_neighbour_serves() -> None:
    """Over two batchers, one of which stands still."""
    release = threading.Event()

    def stuck(parts: Sequence[np.ndarray]) -> Rows:
        assert release.wait(timeout=10)
        return (np.concatenate(parts),)

    budget = Budget(2000)
    flooded = start_batcher(stuck, Limits(4, 1000), budget.share())
    neighbour = start_batcher(lambda parts: (np.concatenate(parts) + 1,), Limits(4, 1000), budget.share())
    one = np.zeros((1, 100), np.uint8)
    waiting = [asyncio.create_task(flooded.submit(one)) for _ in range(10)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match="1,000 bytes of this model wait, of 2,000 that may over all models; 100 more"):
        await flooded.submit(one)
    assert (await neighbour.submit(one))[0].tolist() == (one + 1).tolist()
    release.set()
    assert len(await asyncio.gather(*waiting)) == 10
    await asyncio.gather(flooded.close(), neighbour.close())


class Leaving:
    """A batcher's callers who stay, leave, come too late or fail, by what hypothesis draws."""

    def __init__(self, share: Share, max_batch_size: int) -> None:
        self._turn = threading.Semaphore(0)
        self.share = share
        self.batcher: Batcher = start_batcher(self._run, Limits(max_batch_size, 10_000), share)

    def _run(self, parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        assert self._turn.acquire(timeout=10)
        if (images == 13).any():
            raise ValueError("unlucky")
        return (images,)

    async def act(self, steps: list[tuple[str, int]]) -> None:
        now = asyncio.get_running_loop().time()
        callers: list[asyncio.Task[Rows]] = []
        for kind, size in steps:
            images = np.full((size, 10), 13 if kind == "fails" else 0, np.uint8)
            callers.append(asyncio.create_task(self.batcher.submit(images, now if kind == "late" else None)))
            await asyncio.sleep(0)
            if kind == "leaves":
                callers[size % len(callers)].cancel()
            if kind == "runs":
                self._turn.release()
                await asyncio.sleep(0)
        self._turn.release(10_000)
        for caller in callers:
            with suppress(DomainError, asyncio.CancelledError):
                await caller
        await self.batcher.close()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["stays", "leaves", "late", "fails", "runs"]), st.integers(1, 9)), max_size=15
    ),
    max_batch_size=st.integers(1, 8),
    total_bytes=st.integers(50, 1000),
)
def test_all_is_given_back_however_callers_end(
    steps: list[tuple[str, int]], max_batch_size: int, total_bytes: int
) -> None:
    """A byte that is never given back is one less that may wait, for good."""

    async def go() -> tuple[int, int]:
        leaving = Leaving(Budget(total_bytes).share(), max_batch_size)
        await leaving.act(steps)
        return leaving.share.held, leaving.batcher.waiting_images

    assert asyncio.run(go()) == (0, 0)
