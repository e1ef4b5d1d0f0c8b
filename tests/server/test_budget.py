import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouch.server.budget import Budget, Hold, Kind, Share, worker_budget
from vouch.server.errors import DomainError, InvalidRequest, Overloaded
from vouch.server.model.batcher import Batcher, Limits, start_batcher
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


def test_one_request_is_taken_whatever_its_part_if_nothing_else_is_held() -> None:
    """A request larger than the part would otherwise be refused for ever, with advice to come back later."""
    share, _, _ = (budget := Budget(100)).share(), budget.share(), budget.share()

    assert share.take(90)
    assert not share.take(1)
    share.give_back(90)
    assert share.take(1)


def test_a_refusal_says_the_size_and_the_bound() -> None:
    """And whether to come back later."""
    share = Budget(2_000_000).share()
    share.require(1_500_000)

    with pytest.raises(Overloaded, match=r"600,000 more bytes .* uses 1,500,000 bytes .* and the limit is 2,000,000"):
        share.require(600_000)
    with pytest.raises(InvalidRequest, match=r"2,000,001 bytes .* can never fit: .* is 2,000,000"):
        share.require(2_000_001)
    with pytest.raises(InvalidRequest, match="in addition to this call's 500,001 can never fit"):
        share.require(1_500_000, own=500_001)


@given(
    total=st.integers(0, 300),
    steps=st.lists(st.tuples(st.integers(0, 4), st.integers(-120, 120)), max_size=60),
    kinds=st.sampled_from([(), ("received", "answers")]),
)
def test_no_more_is_held_than_the_budget_and_no_part_is_refused(
    total: int, steps: list[tuple[int, int]], kinds: tuple[Kind, ...]
) -> None:
    """Whatever comes and goes, and whoever sends it, but where one alone was given more than the others leave it."""
    budget = Budget(total, kinds)
    shares = [*[budget.share() for _ in range(3)], *[budget.kinds[kind] for kind in kinds]]
    for which, count in steps:
        share = shares[which % len(shares)]
        if count < 0:
            share.give_back(min(-count, share.held))
        else:
            is_promised = share.held + count <= share.part and budget.claimed <= total
            assert share.take(count) or not is_promised

        held = [one.held for one in shares]
        assert sum(held) == budget.held <= total
        assert sum(max(one.held, one.part) for one in shares) == budget.claimed
        assert sum(budget.held_by_kind().values()) == budget.held


@pytest.mark.parametrize("greedy", get_args(Kind))
def test_no_kind_of_use_locks_out_another(greedy: Kind) -> None:
    """Whatever takes all it can leaves their parts to the others, and to a model."""
    budget = worker_budget(1 << 20)
    model = budget.share()
    while budget.kinds[greedy].take(5000):
        pass

    for kind in get_args(Kind):
        assert kind == greedy or budget.kinds[kind].take(1 << 15)
    assert model.take(5 << 16)
    assert budget.held <= 1 << 20


def test_a_call_alone_may_hold_all_there_is() -> None:
    """Of several kinds, one after the other; beside another call it may not."""
    budget = worker_budget(1 << 20)
    call = Hold(budget)
    call.take("received", 400_000)
    call.take("decoded", 600_000)
    call.end()
    other = Hold(budget)
    other.take("received", 10_000)

    call.take("received", 400_000)
    with pytest.raises(Overloaded):
        call.take("decoded", 600_000)


def test_a_hold_is_given_back_once() -> None:
    """However often it ends, and whatever was given back before."""
    budget = worker_budget(1 << 20)
    with Hold(budget) as hold:
        hold.take("received", 10_000)
        hold.take("answers", 15_000)
        hold.cover("answers", 20_000)
        hold.cover("answers", 1000)
        hold.give_back("answers", 5000)
        assert (hold.bytes, budget.held) == (25_000, 25_000)
    hold.end()

    assert (hold.bytes, budget.held) == (0, 0)


def test_a_model_that_comes_waits_for_its_part_until_others_have_given_it_back() -> None:
    """Its part is made of what was theirs; the whole is never more than it is."""
    budget = Budget(100)
    old = budget.share()
    assert old.take(90)
    new = budget.share()

    assert not new.take(20)
    old.give_back(40)
    assert new.take(50)
    assert not old.take(1)


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

    with pytest.raises(Overloaded, match="1,000 of them for images that wait for this model, and the limit is 2,000"):
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
