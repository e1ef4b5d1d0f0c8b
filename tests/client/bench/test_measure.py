import asyncio
import selectors
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.serving import MAX_REQUEST_IMAGES, Serving, live
from tests.support.tiny import LABELS, publish_tiny, tiny_images
from vouch.client import AsyncClient, CallFailed
from vouch.client.bench.images import Reference
from vouch.client.bench.measure import measure, run
from vouch.client.bench.points import Measured
from vouch.client.settings import BenchSettings
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.serving.served import Served

IMAGES, TRUE = tiny_images(20)
REFERENCE = Reference(IMAGES, tuple((LABELS[k],) for k in TRUE))


def settings_of(serving: Serving, **changed: Any) -> BenchSettings:
    usual: dict[str, Any] = {"server": serving.address, "seconds": 0.02, "batches": "4,1", "loads": "0.3,0.1"}
    return BenchSettings(**(usual | changed))


async def measured_of(serving: Serving) -> Measured:
    async with AsyncClient(serving.address) as client:
        return Measured(live(await client.model()))


async def test_each_batch_size_is_measured_in_both_loops(serving: Serving) -> None:
    """More and more callers, then calls at shares of the most there was; every answer right."""
    measured = await measured_of(serving)
    told: list[int] = []

    await measure(settings_of(serving), REFERENCE, measured, told.append)

    assert measured.complete
    assert measured.wrong == ""
    assert measured.batch_sizes == [1, 4]
    for size in (1, 4):
        callers = [point.concurrency for point in measured.closed if point.batch_size == size]
        assert callers == [2**n for n in range(len(callers))]
        assert len(callers) > 1
        capacity = measured.best(size).load.calls_per_s
        rates = {point.share: point.rate for point in measured.open if point.batch_size == size}
        assert rates == pytest.approx({0.1: 0.1 * capacity, 0.3: 0.3 * capacity})
    assert all(load.calls_per_s > 0 for load in measured.loads)
    assert told == list(range(1, len(measured.loads) + 1))


async def test_wrong_answers_are_told(serving: Serving) -> None:
    """In the points and as a sentence."""
    measured = await measured_of(serving)
    falsified = Reference(IMAGES, (("nothing of the kind",), *REFERENCE.answers[1:]))

    await measure(settings_of(serving, batches="20"), falsified, measured, lambda _: None)

    assert all(point.load.wrong for point in measured.closed)
    assert "nothing of the kind alone, " in measured.wrong


async def test_a_batch_that_is_too_large_is_told_before_anything_is_measured(serving: Serving) -> None:
    """Not after minutes."""
    measured = await measured_of(serving)

    with pytest.raises(CallFailed, match="answered INVALID_ARGUMENT"):
        await measure(settings_of(serving, batches=f"1,{MAX_REQUEST_IMAGES + 1}"), REFERENCE, measured, lambda _: None)

    assert measured.closed == []


async def test_what_was_measured_before_the_server_went_away_stays(serving: Serving) -> None:
    """The points so far, and an error."""
    measured = await measured_of(serving)
    closing: list[asyncio.Task[None]] = []

    def close_after_two(points: int) -> None:
        if points == 2:
            closing.append(asyncio.get_running_loop().create_task(serving.gate.close(0)))

    with pytest.raises(CallFailed, match="stopped responding during the measurement: the server is draining"):
        await measure(settings_of(serving), REFERENCE, measured, close_after_two)

    await closing[0]
    assert len(measured.closed) == 2
    assert not measured.complete


async def test_a_server_that_answers_nobody_has_no_capacity_to_share(serving: Serving) -> None:
    """The failures are counted in closed loops; an open one at a share of nothing is not tried."""

    def fail(_: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        raise ArithmeticError("no model")

    bundle = publish_tiny(serving.folder)
    serving.published.serve(Served(bundle, bundle.manifest.claim.accuracy, start_batcher(fail, Limits(64, 2000))))
    measured = await measured_of(serving)

    await measure(settings_of(serving, batches="1"), REFERENCE, measured, lambda _: None)

    assert [(point.concurrency, point.load.calls_per_s) for point in measured.closed] == [(1, 0), (2, 0)]
    assert measured.closed[0].load.errors.keys() == {"INTERNAL"}
    assert measured.open == []


def test_the_loop_sleeps_by_less_than_milliseconds() -> None:
    """Its selector takes its time-out as it is; epoll and poll round it up to whole milliseconds."""
    found: list[Any] = []

    async def look() -> None:
        loop: Any = asyncio.get_running_loop()
        found.append(type(loop._selector))

    run(look())

    assert found == [selectors.SelectSelector]
