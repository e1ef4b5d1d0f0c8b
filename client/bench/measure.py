"""The steps of a measurement: for each batch size the capacity, then the latency at shares of the capacity."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine

from vouch.client.bench.calls import Calls
from vouch.client.bench.images import Reference
from vouch.client.bench.load import WARM_UP, Send, open_loop, rising
from vouch.client.bench.points import ClosedPoint, Measured, OpenPoint
from vouch.client.settings import BenchSettings

SEED = 0
"""Seed of the random times of calls in the open loop."""


async def measure(
    settings: BenchSettings, reference: Reference, measured: Measured, progress: Callable[[int], None]
) -> None:
    """Measures the served model.

    Args:
        measured: gets every point when it is measured, so that an interrupted measurement keeps its points.
        progress: called with the number of points done.

    Raises:
        CallFailed: the server cannot be reached, or would refuse every call.
    """
    async with Calls(settings.server, settings.timeout_s, measured.model, reference, settings.trust) as calls:
        try:
            for batch_size in settings.batch_sizes:
                await calls.of(batch_size)(0)  # a batch that is too large fails before the first measurement
            for batch_size in settings.batch_sizes:
                await _measure_one(calls.of(batch_size), batch_size, settings, measured, progress)
            measured.complete = True
        finally:
            measured.wrong = calls.wrong


def run(measurement: Coroutine[None, None, None]) -> None:
    """Runs it in an event loop that sleeps with a precision of some hundredths of a millisecond.

    asyncio's default selector on Linux, epoll, rounds up to whole milliseconds: every call of the open loop would be
    0.5 ms late on average.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(measurement)


async def _measure_one(
    send: Send, batch_size: int, settings: BenchSettings, measured: Measured, progress: Callable[[int], None]
) -> None:
    async for concurrency, load in rising(send, settings.seconds):
        measured.closed.append(ClosedPoint(batch_size, concurrency, load))
        progress(len(measured.loads))
    capacity = measured.best(batch_size).load.calls_per_s
    for share in settings.load_shares if capacity else ():
        rate = share * capacity
        await open_loop(send, rate, settings.seconds * WARM_UP, SEED + 1)
        load = await open_loop(send, rate, settings.seconds, SEED)
        measured.open.append(OpenPoint(batch_size, share, rate, load))
        progress(len(measured.loads))
