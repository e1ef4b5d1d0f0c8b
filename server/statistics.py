"""What a version's runs add up to since it was installed: one call a run, no lock, as all happens in one event loop.

Knows no protocol. Requests whose run failed count as failed and nowhere else; those refused before any run (a full
queue, a deadline that passed, a caller who left) do not count.
"""

import time
from dataclasses import dataclass, field

from server.batcher import BatchDone


@dataclass
class Span:
    """How often something took place, and how long it took in all."""

    count: int = 0
    ns: int = 0

    def add(self, count: int, ns: int) -> None:
        """
        Args:
            ns: of all these together.
        """
        self.count += count
        self.ns += ns

    def merge(self, other: "Span") -> None:
        """Adds what somebody else counted."""
        self.add(other.count, other.ns)


@dataclass
class Statistics:
    """Counts of one version."""

    success: Span = field(default_factory=Span)
    """Answered requests, from submission to the end of their last run."""
    fail: Span = field(default_factory=Span)
    queue: Span = field(default_factory=Span)
    """Answered requests, from submission to the start of their last run."""
    compute: Span = field(default_factory=Span)
    """Answered requests, and the last run of each: one that shared a run took as long as that run."""
    runs: dict[int, Span] = field(default_factory=dict)
    """Images in a run -> the runs of this size."""
    images: int = 0
    last_run_ms: int = 0
    """Milliseconds since 1970; 0 before the first."""

    def add(self, done: BatchDone) -> None:
        """Counts a run."""
        compute_ns = done.requests * done.run_ns
        self.last_run_ms = time.time_ns() // 1_000_000
        if done.failed:
            self.fail.add(done.requests, done.waited_ns + compute_ns)
            return
        self.success.add(done.requests, done.waited_ns + compute_ns)
        self.queue.add(done.requests, done.waited_ns)
        self.compute.add(done.requests, compute_ns)
        self.runs.setdefault(done.images, Span()).add(1, done.run_ns)
        self.images += done.images

    def merge(self, other: "Statistics") -> None:
        """Adds what somebody else counted of the same version, which stays as it is."""
        self.success.merge(other.success)
        self.fail.merge(other.fail)
        self.queue.merge(other.queue)
        self.compute.merge(other.compute)
        for size, runs in other.runs.items():
            self.runs.setdefault(size, Span()).merge(runs)
        self.images += other.images
        self.last_run_ms = max(self.last_run_ms, other.last_run_ms)
