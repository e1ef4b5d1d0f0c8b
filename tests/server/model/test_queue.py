import asyncio
from collections.abc import Callable, Iterator
from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouch.server.errors import DeadlineExpired
from vouch.server.model.queue import BatchQueue
from vouch.server.model.request import Request

loop = asyncio.new_event_loop()


@pytest.fixture(autouse=True, scope="module")
def close_loop() -> Iterator[None]:
    yield
    loop.close()


def request(size: int, deadline: float | None = None) -> Request:
    return Request(np.zeros((size, 1)), deadline, loop.create_future())


def filled(batch_images: int, *sizes: int) -> tuple[BatchQueue, list[Request]]:
    queue = BatchQueue(batch_images)
    requests = [request(size) for size in sizes]
    for one in requests:
        queue.add(one)
    return queue, requests


def batches(queue: BatchQueue, requests: list[Request]) -> list[list[tuple[int, int]]]:
    """Of each batch, (which request, how many images of it), until nothing waits."""
    found = []
    while queue:
        found.append([(requests.index(part.request), len(part.images)) for part in queue.take(0.0)])
    return found


def test_short_requests_run_in_the_order_in_which_they_came() -> None:
    """One that does not fit whole is finished by the next batch."""
    assert batches(*filled(4, 1, 2, 3, 4)) == [[(0, 1), (1, 2), (2, 1)], [(2, 2), (3, 2)], [(3, 2)]]


def test_long_requests_are_finished_one_after_the_other() -> None:
    """The first has its answer when half of the work is done, and not at its end."""
    assert batches(*filled(4, 8, 8)) == [[(0, 4)], [(0, 4)], [(1, 4)], [(1, 4)]]


def test_short_and_long_take_turns_and_leave_no_room_unused() -> None:
    """Neither waits for all of the others."""
    assert batches(*filled(4, 9, 1, 4, 4)) == [
        [(1, 1), (2, 3)],
        [(0, 4)],
        [(2, 1), (3, 3)],
        [(0, 4)],
        [(3, 1), (0, 1)],
    ]


@given(st.lists(st.integers(1, 30), max_size=30), st.integers(1, 9))
def test_every_image_is_taken_once_and_in_order(sizes: list[int], batch_images: int) -> None:
    """And only the last batch may have room left."""
    queue, requests = filled(batch_images, *sizes)
    parts = []
    while queue:
        parts.append(queue.take(0.0))

    assert all(sum(len(part.images) for part in batch) == batch_images for batch in parts[:-1])
    for one, size in zip(requests, sizes, strict=True):
        assert sum(len(part.images) for batch in parts for part in batch if part.request is one) == size
    assert queue.images == 0


def test_what_is_too_late_fails_and_what_was_left_is_passed_by() -> None:
    """Neither takes room from others."""
    queue = BatchQueue(4)
    late, gone, here = request(2, deadline=1.0), request(2), request(2, deadline=3.0)
    for one in (late, gone, here):
        queue.add(one)
    gone.answer.cancel()

    assert [part.request for part in queue.take(2.0)] == [here]
    assert isinstance(late.answer.exception(), DeadlineExpired)
    for one in (late, gone):
        queue.remove(one)
    assert (queue.images, bool(queue)) == (0, False)


@pytest.mark.parametrize("ends", [lambda queue, one: queue.remove(one), lambda queue, one: one.answer.cancel()])
def test_many_who_leave_at_once_cost_no_search(ends: Callable[[BatchQueue, Request], object]) -> None:
    """Of 60,000 that wait, all may be late at the same moment; a search for each would stop the server for minutes."""
    queue, requests = filled(4, *[1] * 60_000)
    began = process_time()
    for one in reversed(requests):
        ends(queue, one)
    assert queue.take(0.0) == []
    for one in requests:
        queue.remove(one)

    assert process_time() - began < 20.0
    assert queue.images == 0
