"""Calls in a closed loop (each caller waits for its answer) and in an open loop (calls are sent at given times).

Knows neither gRPC nor the terminal: the caller gives a function that makes a call. Time is the event loop's. A call
that raises ends the measurement; for a failure that only counts, the function returns the reason.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

RIGHT, WRONG = "RIGHT", "WRONG"
Send = Callable[[int], Awaitable[str]]
"""Makes the call of this number, counted from 0. Returns RIGHT, WRONG (the answer differs from the reference), or why
there is no answer, such as RESOURCE_EXHAUSTED."""

RISE = 1.05
"""With twice the callers, throughput must rise by at least this factor to count as a rise."""
PATIENCE = 2
"""The search ends after this many steps in a row without a rise."""
MAX_CONCURRENCY = 1024
WARM_UP = 0.2
"""Duration of the uncounted warm-up, as a share of the measurement's."""
LATE_S, LATE_SHARE = 1e-3, 0.25
"""If calls are sent later than both (seconds, and a share of the latency), the latency is not the server's."""
RARE = 1000
"""The 99.9th percentile needs at least this many calls."""
NEVER_S = 1e9
"""Latency of a call that was not answered: larger than any real one."""


@dataclass(frozen=True)
class Load:
    """The results of some calls."""

    calls: int
    wrong: int
    """Answers that differ from the reference."""
    errors: Mapping[str, int]
    """Reason -> the number of calls that were not answered for it."""
    seconds: float
    """From the first call to the last answer."""
    p50_s: float | None
    """The median latency of all calls; None if it falls on a call without an answer."""
    p99_s: float | None
    """The 99th percentile, as `p50_s`; of fewer than 100 calls the slowest."""
    p999_s: float | None
    """The 99.9th percentile, as `p50_s`; None also for fewer than 1,000 calls."""
    lateness_s: float
    """99th percentile of the delay between when a call was due and when it was sent. 0 in a closed loop."""
    busy: float
    """Cores that this process used on average."""

    @property
    def calls_per_s(self) -> float:
        """Calls per second with a right answer."""
        return (self.calls - self.wrong - sum(self.errors.values())) / self.seconds if self.seconds > 0 else 0.0

    @property
    def fell_behind(self) -> bool:
        """Whether calls were sent so late that the latencies measure the generator, not the server."""
        return self.lateness_s > max(LATE_S, LATE_SHARE * (self.p99_s or self.p50_s or 0))


async def closed_loop(send: Send, concurrency: int, seconds: float) -> Load:
    """This many callers; each makes its next call when its last one was answered.

    Args:
        concurrency: the number of callers; each makes at least one call.
        seconds: no call begins later than this.
    """
    record = _Record()
    end = record.begin + seconds

    async def call_on() -> None:
        now = record.begin
        while True:
            await record.call(send, now)
            now = record.now()
            if now >= end:
                return

    with _first_error_alone():
        async with asyncio.TaskGroup() as callers:
            for _ in range(concurrency):
                callers.create_task(call_on())
    return record.summary()


async def open_loop(send: Send, rate: float, seconds: float, seed: int) -> Load:
    """Calls at random times that do not depend on the answers: a Poisson process of this rate.

    Latency counts from when a call was due, not from when it was sent, so that waiting counts ("coordinated omission",
    G. Tene, How NOT to Measure Latency, 2013).

    Args:
        rate: calls per second on average, over 0.
        seconds: `rate * seconds` calls are made, at least one.
        seed: of the random times.
    """
    count = max(1, round(rate * seconds))
    record = _Record()
    moments = record.begin + np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))
    with _first_error_alone():
        async with asyncio.TaskGroup() as calls:
            for due in moments.tolist():
                await asyncio.sleep(max(0.0, due - record.now()))  # also when late, so that answers are read
                calls.create_task(record.call(send, due))
    return record.summary()


async def rising(send: Send, seconds: float) -> AsyncIterator[tuple[int, Load]]:
    """Closed loops of 1, 2, 4 ... callers, until throughput no longer rises by 5 %, twice in a row.

    Once is not enough: a server that batches calls may gain nothing from the second caller and much from the eighth,
    and a short pause of the machine is not the server's limit.

    Args:
        seconds: duration of each loop, after a warm-up.

    Yields:
        the number of callers and the result, also for those without a rise.
    """
    best, concurrency, without_rise = 0.0, 1, 0
    while concurrency <= MAX_CONCURRENCY and without_rise < PATIENCE:
        await closed_loop(send, concurrency, seconds * WARM_UP)
        load = await closed_loop(send, concurrency, seconds)
        yield concurrency, load
        without_rise = without_rise + 1 if load.calls_per_s <= RISE * best else 0
        best, concurrency = max(best, load.calls_per_s), 2 * concurrency


class _Record:
    """Records calls and their results; time counts from its creation."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.begin = self._end = self.now()
        self._cpu = time.process_time()
        self._outcomes: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._lateness: list[float] = []
        self._sent = 0

    async def call(self, send: Send, due: float) -> None:
        """Makes the next call and records the result."""
        number = self._sent
        self._sent += 1
        self._lateness.append(self.now() - due)
        outcome = await send(number)
        self._end = self.now()
        self._outcomes[outcome] += 1
        self._latencies.append(self._end - due if outcome in (RIGHT, WRONG) else NEVER_S)

    def summary(self) -> Load:
        """The results of all calls, after they have ended."""
        seconds = self._end - self.begin
        return Load(
            calls=self._sent,
            wrong=self._outcomes[WRONG],
            errors={name: n for name, n in sorted(self._outcomes.items()) if name not in (RIGHT, WRONG)},
            seconds=seconds,
            p50_s=_percentile(self._latencies, 50),
            p99_s=_percentile(self._latencies, 99),
            p999_s=_percentile(self._latencies, 99.9) if self._sent >= RARE else None,
            lateness_s=_percentile(self._lateness, 99) or 0.0,
            busy=(time.process_time() - self._cpu) / seconds if seconds > 0 else 0.0,
        )


def _percentile(values: list[float], percent: float) -> float | None:
    """The percentile as one of the values, without interpolation; None if it is a call without an answer."""
    value = float(np.percentile(values, percent, method="inverted_cdf"))
    return None if value >= NEVER_S else value


@contextmanager
def _first_error_alone() -> Iterator[None]:
    """Replaces an exception group by its first exception."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
