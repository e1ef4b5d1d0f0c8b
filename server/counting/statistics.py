"""Counts of a version's runs and requests since it was installed. They need no lock: all happens in one event loop.

Runs are added one by one. Requests whose run failed count only as failed. Requests refused before any run (a full
queue, a deadline that passed, a caller who left) count only in `requests`, by their code.
"""

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import NamedTuple

BOUNDS_NS = [step * 10**power // 10 for power in range(4, 10) for step in (10, 25, 50)] + [10**10]
"""Inclusive upper ends of the buckets for times: 10 us to 10 s. One more bucket has the rest."""


def no_times() -> list[int]:
    """Empty buckets."""
    return [0] * (len(BOUNDS_NS) + 1)


class BatchDone(NamedTuple):
    """One run, for the counts. A tuple, because one is made in every run, and a tuple costs a third of a dataclass."""

    images: int
    waits_ns: tuple[int, ...]
    """For each request that the run answered, or that failed with it: time from submission to the start of the run,
    without callers who have left."""
    run_ns: int
    """Time of the run, including the joining of its images."""
    failed: bool = False
    """Whether the function raised or returned a wrong number of rows."""
    unusable_images: int = 0
    """Number of these images whose rows were unusable."""
    unusable_waits_ns: tuple[int, ...] = ()
    """As `waits_ns`, for each request that failed because of them; these are not in `waits_ns`."""


@dataclass
class Span:
    """How often something happened, and how long it took in total."""

    count: int = 0
    ns: int = 0

    def add(self, count: int, ns: int) -> None:
        """
        Args:
            ns: their total time.
        """
        self.count += count
        self.ns += ns

    def merge(self, other: "Span") -> None:
        """Adds another span."""
        self.add(other.count, other.ns)


@dataclass
class Times:
    """How long things took, in buckets."""

    buckets: list[int] = field(default_factory=no_times)
    ns: int = 0
    """Total time."""


@dataclass
class Requests:
    """How long requests took, answered or not."""

    methods: dict[str, dict[int, Times]] = field(default_factory=dict)
    """`/package.Service/Method` -> gRPC's status code -> times of the requests that ended with it."""

    def add(self, method: str, code: int, ns: int) -> None:
        """Counts a request, in much less than a microsecond, because every call passes here."""
        try:
            times = self.methods[method][code]
        except KeyError:
            times = self.methods.setdefault(method, {}).setdefault(code, Times())
        times.buckets[bisect_left(BOUNDS_NS, ns)] += 1
        times.ns += ns

    def merge(self, other: "Requests") -> None:
        """Adds other requests, which do not change."""
        for method, codes in other.methods.items():
            ours = self.methods.setdefault(method, {})
            for code, theirs in codes.items():
                times = ours.setdefault(code, Times())
                _merge_buckets(times.buckets, theirs.buckets)
                times.ns += theirs.ns


def _merge_buckets(ours: list[int], theirs: list[int]) -> None:
    ours[:] = [one + other for one, other in zip(ours, theirs, strict=True)]


@dataclass
class Statistics:
    """Counts of one version."""

    fail: Span = field(default_factory=Span)
    queue: Span = field(default_factory=Span)
    """Answered requests, from submission to the start of their last run."""
    compute: Span = field(default_factory=Span)
    """Answered requests, with the time of the last run of each, even if it shared that run."""
    runs: dict[int, Span] = field(default_factory=dict)
    """Number of images -> the runs of this size."""
    queue_times: list[int] = field(default_factory=no_times)
    """Buckets of the times in `queue`."""
    run_times: list[int] = field(default_factory=no_times)
    """Buckets of the times in `runs`."""
    requests: Requests = field(default_factory=Requests)
    """Requests that named this version, or were answered by it."""
    images: int = 0
    unusable_images: int = 0
    """Number of these without a usable answer."""
    last_run_ms: int = 0
    """Milliseconds since 1970; 0 before the first."""

    @property
    def success(self) -> Span:
        """Answered requests, from submission to the end of their last run."""
        return Span(self.queue.count, self.queue.ns + self.compute.ns)

    def add(self, done: BatchDone) -> None:
        """Counts a run."""
        requests, waited_ns = len(done.waits_ns), sum(done.waits_ns)
        compute_ns = requests * done.run_ns
        self.last_run_ms = time.time_ns() // 1_000_000
        if done.failed:
            self.fail.add(requests, waited_ns + compute_ns)
            return
        self.queue.add(requests, waited_ns)
        self.compute.add(requests, compute_ns)
        for wait_ns in done.waits_ns:
            self.queue_times[bisect_left(BOUNDS_NS, wait_ns)] += 1
        self.run_times[bisect_left(BOUNDS_NS, done.run_ns)] += 1
        runs = self.runs.get(done.images)
        if runs is None:
            runs = self.runs[done.images] = Span()
        runs.add(1, done.run_ns)
        self.images += done.images
        if done.unusable_images:
            self.unusable_images += done.unusable_images
            failed = len(done.unusable_waits_ns)
            self.fail.add(failed, sum(done.unusable_waits_ns) + failed * done.run_ns)

    def merge(self, other: "Statistics") -> None:
        """Adds other counts of the same version, which do not change."""
        self.fail.merge(other.fail)
        self.queue.merge(other.queue)
        self.compute.merge(other.compute)
        for size, runs in other.runs.items():
            self.runs.setdefault(size, Span()).merge(runs)
        self.images += other.images
        self.unusable_images += other.unusable_images
        _merge_buckets(self.queue_times, other.queue_times)
        _merge_buckets(self.run_times, other.run_times)
        self.requests.merge(other.requests)
        self.last_run_ms = max(self.last_run_ms, other.last_run_ms)
