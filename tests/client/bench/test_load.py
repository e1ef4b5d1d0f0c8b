import asyncio

import numpy as np
import pytest
from scipy.stats import kstest

from tests.support.virtual_time import busy, run_virtually
from vouch.client.bench.load import MAX_CONCURRENCY, RIGHT, WRONG, Load, Send, closed_loop, open_loop, rising


class Counter:
    """Answers after this time, to so many callers at once; the others wait in turn."""

    def __init__(self, service_s: float, places: int = 1) -> None:
        self._service_s = service_s
        self._places = asyncio.Semaphore(places)
        self.inside = self.most_inside = 0

    async def __call__(self, _: int) -> str:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        async with self._places:
            await asyncio.sleep(self._service_s)
        self.inside -= 1
        return RIGHT


def moments(rate: float, count: int, seed: int) -> np.ndarray:
    """When the calls of an open loop are due, from its start on."""
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))


async def moments_sent(rate: float, seconds: float, seed: int) -> list[float]:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    sent: list[float] = []

    async def send(_: int) -> str:
        sent.append(loop.time() - begin)
        return RIGHT

    await open_loop(send, rate, seconds, seed)
    return sent


def test_the_open_loop_sends_on_time_whether_or_not_earlier_calls_are_answered() -> None:
    """Nobody is answered before the last call has come; each waited since it was due."""

    async def measure() -> Load:
        all_here = asyncio.Event()

        async def send(number: int) -> str:
            if number == 199:
                all_here.set()
            await all_here.wait()
            return RIGHT

        return await open_loop(send, 100, 2, seed=3)

    load = run_virtually(measure())

    due = moments(100, 200, seed=3)
    waited = due[-1] - due
    assert (load.calls, load.wrong, load.errors) == (200, 0, {})
    assert load.p50_s == pytest.approx(np.percentile(waited, 50, method="inverted_cdf"))
    assert load.p99_s == pytest.approx(np.percentile(waited, 99, method="inverted_cdf"))
    assert load.seconds == pytest.approx(due[-1])
    assert not load.fell_behind


def test_latency_counts_from_when_a_call_was_due() -> None:
    """A generator that was busy for half a second waited for nobody, and yet its calls were late; it says so."""

    async def send(number: int) -> str:
        if number == 0:
            busy(0.5)
        return RIGHT

    load = run_virtually(open_loop(send, 1000, 1, seed=0))

    due = moments(1000, 1000, seed=0)
    freed = due[0] + 0.5
    late = np.maximum(0, freed - due[1:])
    latencies = np.append(late, 0.5)
    assert load.p50_s == pytest.approx(np.percentile(latencies, 50, method="inverted_cdf"), abs=1e-9)
    assert load.p99_s == pytest.approx(np.percentile(latencies, 99, method="inverted_cdf"))
    assert load.lateness_s == pytest.approx(np.percentile(np.append(late, 0), 99, method="inverted_cdf"))
    assert load.fell_behind


def test_calls_come_at_the_moments_of_a_poisson_process() -> None:
    """Gaps are exponential around the rate, the same for the same seed, others for another one."""
    sent = run_virtually(moments_sent(50, 100, seed=1))

    gaps = np.diff(sent)
    assert len(sent) == 5000
    assert sent == pytest.approx(moments(50, 5000, seed=1).tolist())
    assert kstest(gaps, "expon", args=(0, 1 / 50)).pvalue > 0.05
    assert sent == run_virtually(moments_sent(50, 100, seed=1))
    assert sent != run_virtually(moments_sent(50, 100, seed=2))


def test_an_open_loop_makes_at_least_one_call() -> None:
    """However seldom one is due."""
    assert len(run_virtually(moments_sent(0.001, 1, seed=0))) == 1


def test_calls_that_fail_are_counted_and_slower_than_all_others() -> None:
    """By their reasons; a refusal at once makes no percentile faster, and no throughput."""

    async def send(number: int) -> str:
        await asyncio.sleep(0.01 if number % 4 else 0)
        return RIGHT if number % 4 else ("RESOURCE_EXHAUSTED" if number % 8 else "DEADLINE_EXCEEDED")

    load = run_virtually(open_loop(send, 100, 1, seed=0))

    assert load.errors == {"RESOURCE_EXHAUSTED": 12, "DEADLINE_EXCEEDED": 13}
    assert load.p50_s == pytest.approx(0.01)
    assert load.p99_s is None
    assert load.calls_per_s == pytest.approx(75 / load.seconds)


def test_wrong_answers_are_counted() -> None:
    """They are answers, but none that count as throughput."""

    async def send(number: int) -> str:
        await asyncio.sleep(0.1)
        return WRONG if number == 2 else RIGHT

    load = run_virtually(closed_loop(send, 1, 0.95))

    assert (load.calls, load.wrong, load.errors) == (10, 1, {})
    assert load.calls_per_s == pytest.approx(9)
    assert load.p99_s == pytest.approx(0.1)


@pytest.mark.parametrize("loop", ["open", "closed"])
def test_an_exception_ends_the_measurement(loop: str) -> None:
    """It comes through by itself, and calls on their way are cancelled."""
    cancelled: list[int] = []

    async def send(number: int) -> str:
        if number == 3:
            raise ConnectionError("gone")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return RIGHT

    measurement = open_loop(send, 10, 1, seed=0) if loop == "open" else closed_loop(send, 4, 1)
    with pytest.raises(ConnectionError, match="gone"):
        run_virtually(measurement)

    assert sorted(cancelled) == [0, 1, 2]


def test_the_closed_loop_keeps_so_many_calls_on_their_way() -> None:
    """With four callers at a counter that serves one after another, each waits for all four."""

    async def measure() -> tuple[Load, Counter]:
        counter = Counter(0.01)
        return await closed_loop(counter, 4, 10), counter

    load, counter = run_virtually(measure())

    assert counter.most_inside == 4
    assert load.calls_per_s == pytest.approx(100)
    assert [load.p50_s, load.p99_s, load.p999_s] == pytest.approx([0.04] * 3)
    assert load.lateness_s == 0


def test_each_caller_makes_at_least_one_call() -> None:
    """Also where the time is over before it is answered; of so few calls none is the slowest in a thousand."""

    async def measure() -> Load:
        return await closed_loop(Counter(3, places=8), 8, 0.05)

    load = run_virtually(measure())

    assert (load.calls, load.p999_s) == (8, None)
    assert load.seconds == pytest.approx(3)


async def rising_points(send: Send) -> list[tuple[int, float]]:
    return [(concurrency, load.calls_per_s) async for concurrency, load in rising(send, 1)]


def test_callers_are_doubled_until_throughput_no_longer_rises() -> None:
    """A server of four places gives no more to eight callers, and to sixteen; both points are there too."""

    async def measure() -> list[tuple[int, float]]:
        return await rising_points(Counter(0.01, places=4))

    points = run_virtually(measure())

    assert [concurrency for concurrency, _ in points] == [1, 2, 4, 8, 16]
    assert [rate for _, rate in points] == pytest.approx([100, 200, 400, 400, 400])


def test_one_point_without_a_rise_is_not_taken_for_the_limit() -> None:
    """A machine that pauses, or a server that gains only from many calls together."""

    async def measure() -> list[tuple[int, float]]:
        counter, begin = Counter(0.01, places=4), asyncio.get_running_loop().time()

        async def send(number: int) -> str:
            if 1.5 < asyncio.get_running_loop().time() - begin < 2.3:  # within the measurement of two callers
                await asyncio.sleep(0.3)
            return await counter(number)

        return await rising_points(send)

    points = run_virtually(measure())

    assert [concurrency for concurrency, _ in points] == [1, 2, 4, 8, 16]
    assert points[1][1] < 100
    assert [rate for _, rate in points[2:]] == pytest.approx([400, 400, 400])


def test_a_server_without_limit_is_not_asked_for_ever() -> None:
    """There is a most."""

    async def measure() -> list[tuple[int, float]]:
        return await rising_points(Counter(0.1, places=10_000))

    assert run_virtually(measure())[-1][0] == MAX_CONCURRENCY


def test_a_server_that_answers_nobody_is_not_measured_for_long() -> None:
    """More callers would not help."""

    async def send(_: int) -> str:
        await asyncio.sleep(0.1)
        return "RESOURCE_EXHAUSTED"

    assert run_virtually(rising_points(send)) == [(1, 0), (2, 0)]


def test_warming_up_is_not_counted() -> None:
    """The first calls are slow, and in no point."""

    calls: list[int] = []

    async def send(number: int) -> str:
        calls.append(number)
        await asyncio.sleep(0.2 if len(calls) == 1 else 0.01)
        return RIGHT

    async def first_point() -> Load:
        return await anext(load async for _, load in rising(send, 1))

    load = run_virtually(first_point())

    assert load.p99_s == pytest.approx(0.01)
