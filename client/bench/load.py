"""Calls in a closed loop, where each caller waits for its answer, and in an open one, where calls come when due.

Knows neither gRPC nor the terminal: it is given a function that makes a call. Time is the event loop's. A call that
ends by an exception ends the measurement; one that fails in a way that is to be counted returns that instead.
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
"""Makes the call of this number, counted from 0, and returns what came of it: RIGHT, WRONG (it was answered, but not as
before), or why it was not answered, such as RESOURCE_EXHAUSTED."""

RISE = 1.05
"""Twice the callers must give this much more throughput, or there is no more to gain."""
PATIENCE = 2
"""So many times in a row."""
MAX_CONCURRENCY = 1024
WARM_UP = 0.2
"""Share of a measurement's time that calls are made for before it, without being counted."""
LATE_S, LATE_SHARE = 1e-3, 0.25
"""Where calls are sent later than both, the second as a share of their latency, the latency is not the server's."""
RARE = 1000
"""Calls it takes to speak of the slowest in a thousand."""
NEVER_S = 1e9
"""Stands for the latency of a call that was not answered: no percentile of those that were comes near it."""


@dataclass(frozen=True)
class Load:
    """What came of some calls."""

    calls: int
    wrong: int
    """Answers that were not as before."""
    errors: Mapping[str, int]
    """Calls that were not answered, by the reason."""
    seconds: float
    """From the first call until the last one was answered."""
    p50_s: float | None
    """Half of all calls were answered as fast as this; None where so many were not answered."""
    p99_s: float | None
    """Likewise 99 in a hundred; of fewer than a hundred calls the slowest."""
    p999_s: float | None
    """Likewise 999 in a thousand; None also where fewer calls were made."""
    lateness_s: float
    """How long after they were due 99 in a hundred calls had been sent, at most. Nought in a closed loop."""
    busy: float
    """Cores that this process used on average."""

    @property
    def calls_per_s(self) -> float:
        """Right answers a second."""
        return (self.calls - self.wrong - sum(self.errors.values())) / self.seconds if self.seconds > 0 else 0.0

    @property
    def fell_behind(self) -> bool:
        """Whether the calls were sent so late that the latencies say more of the generator than of the server."""
        return self.lateness_s > max(LATE_S, LATE_SHARE * (self.p99_s or self.p50_s or 0))


async def closed_loop(send: Send, concurrency: int, seconds: float) -> Load:
    """So many callers, each of which makes its next call as soon as its last one is answered.

    Args:
        concurrency: how many callers; each makes at least one call.
        seconds: when these have passed, no caller makes another one.
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
    """Calls at moments that do not depend on the answers: a Poisson process of this rate.

    Latency counts from when a call was due, not from when it was sent, so that waiting is not left out ("coordinated
    omission", G. Tene, How NOT to Measure Latency, 2013).

    Args:
        rate: calls a second on average, over 0.
        seconds: as many calls are made as are due in this time on average, at least one.
        seed: the moments follow from it.
    """
    count = max(1, round(rate * seconds))
    record = _Record()
    moments = record.begin + np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))
    with _first_error_alone():
        async with asyncio.TaskGroup() as calls:
            for due in moments.tolist():
                await asyncio.sleep(max(0.0, due - record.now()))  # also where it is late: answers need their turn
                calls.create_task(record.call(send, due))
    return record.summary()


async def rising(send: Send, seconds: float) -> AsyncIterator[tuple[int, Load]]:
    """Closed loops of 1, 2, 4 ... callers, until throughput no longer rises by 5 %, twice in a row.

    Once is not enough: a server that works on many calls together may gain nothing from the second caller and much from
    the eighth, and a pause of the machine is not the server's limit.

    Args:
        seconds: of each; a share of it is spent before, to warm up.

    Yields:
        the number of callers and what came of it, those without a rise too.
    """
    best, concurrency, without_rise = 0.0, 1, 0
    while concurrency <= MAX_CONCURRENCY and without_rise < PATIENCE:
        await closed_loop(send, concurrency, seconds * WARM_UP)
        load = await closed_loop(send, concurrency, seconds)
        yield concurrency, load
        without_rise = without_rise + 1 if load.calls_per_s <= RISE * best else 0
        best, concurrency = max(best, load.calls_per_s), 2 * concurrency


class _Record:
    """What is written down while calls are made, from its making on."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.begin = self._end = self.now()
        self._cpu = time.process_time()
        self._outcomes: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._lateness: list[float] = []
        self._sent = 0

    async def call(self, send: Send, due: float) -> None:
        """Makes a call, the next in number, and writes down what came of it."""
        number = self._sent
        self._sent += 1
        self._lateness.append(self.now() - due)
        outcome = await send(number)
        self._end = self.now()
        self._outcomes[outcome] += 1
        self._latencies.append(self._end - due if outcome in (RIGHT, WRONG) else NEVER_S)

    def summary(self) -> Load:
        """Of all calls; to be asked when they have ended."""
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
    """The smallest of the values that so many are not above: one that was seen, nothing in between."""
    value = float(np.percentile(values, percent, method="inverted_cdf"))
    return None if value >= NEVER_S else value


@contextmanager
def _first_error_alone() -> Iterator[None]:
    """Raises what the first of a group's tasks raised, without the group around it."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
