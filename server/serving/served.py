"""One loaded version, which is kept until its last call has ended."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.opening import Bundle
from vouch.server.counting.statistics import Statistics
from vouch.server.lineup.lineup import Recount, Role, RunPlan
from vouch.server.model.batcher import Batcher

Identity = tuple[int, str]
"""A version's number and its bundle's digest: another bundle with the same number is another version."""


class Served:
    """A version that reproduced its claim, and its batcher."""

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
            served: the recounted accuracy.
            statistics: the counts to which the batcher adds its runs; None if they are not needed.
            plan: its run plan; None if it was not measured.
        """
        self.bundle = bundle
        self.served = served
        self.batcher = batcher
        self.statistics = statistics or Statistics()
        self.plan = plan or RunPlan()
        self.recount = Recount()
        """How its answers compare with the claimed ones; set by its loader."""
        self.role: Role = "live"
        """Its role; set by the catalog."""
        self._leases = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @property
    def name(self) -> str:
        """Its model's name."""
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
        """Waits for the last lease, then ends the batcher and frees the model's memory."""
        await self._unused.wait()
        await self.batcher.close()
