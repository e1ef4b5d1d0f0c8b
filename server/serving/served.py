"""One loaded version that answers, and how long it is kept: until its last call has ended."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.opening import Bundle
from vouch.server.counting.statistics import Statistics
from vouch.server.lineup.lineup import Recount, Role, RunPlan
from vouch.server.model.batcher import Batcher

Identity = tuple[int, str]
"""A version's number and its bundle's digest: the same number over another bundle is another version."""


class Served:
    """A version that vouched for itself, and the batcher that answers for it."""

    def __init__(
        self,
        bundle: Bundle,
        served: Accuracy,
        batcher: Batcher,
        statistics: Statistics | None = None,
        plan: RunPlan | None = None,
    ) -> None:
        """
        Args:
            served: what its recount gave.
            statistics: the ones that the batcher tells of its runs; None where nobody counts.
            plan: how it is run; None where that was not measured.
        """
        self.bundle = bundle
        self.served = served
        self.batcher = batcher
        self.statistics = statistics or Statistics()
        self.plan = plan or RunPlan()
        self.recount = Recount()
        """How its answers went with those that it claims; whoever loads it says so."""
        self.role: Role = "live"
        """What it is served for; the catalog says so."""
        self._leases = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def name(self) -> str:
        """Its model's."""
        return self.bundle.manifest.name

    @property
    def version(self) -> int:
        return self.bundle.manifest.version

    @property
    def identity(self) -> Identity:
        return self.version, self.bundle.digest

    @contextmanager
    def lease(self) -> Iterator["Served"]:
        """Keeps the version alive while the block runs."""
        self._leases += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._leases -= 1
            if not self._leases:
                self._unused.set()

    async def end(self) -> None:
        """Waits for the last lease, then ends the batcher and gives the model's memory back."""
        await self._unused.wait()
        await self.batcher.close()
