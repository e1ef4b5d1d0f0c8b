"""The claim counted again while it is served: one running count of a version, whoever asks and however many.

Whoever comes later sees the count from where it is. It goes on as long as one caller is there. Its images are read a
batch at a time, and held in the budget.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from vouch.bundle.accuracy import COUNTING_BATCH, Accuracy
from vouch.bundle.errors import BundleError
from vouch.bundle.validation import Validation
from vouch.server.budget import Hold
from vouch.server.errors import BundleGone, DomainError
from vouch.server.model.recount import recount
from vouch.server.serving.served import Served

PART = 8
"""Of the budget: which part of it a batch takes at most. A model of large images is counted in smaller batches than
training did, which may round a few answers differently."""
COPIES = 2
"""Of a batch: as it is read, and while the next one is made."""


class Evaluations:
    """The counts that run now. Belongs to one event loop."""

    def __init__(self) -> None:
        self._running: dict[Served, _Running] = {}

    async def counts(self, served: Served, hold: Hold) -> AsyncGenerator[Accuracy, None]:
        """The count so far, whenever there are more images in it; the last has all of them.

        Args:
            hold: of the budget that the images are taken from, if a count begins with this caller.

        Raises:
            BundleGone: the split is no longer there as it was published.
            DomainError: as `recount`; an Overloaded where the budget has no room for a batch.
        """
        running = self._running.get(served)
        if running is None:
            running = self._running[served] = _Running(served, hold.another(), self._running)
        async with aclosing(running.counts()) as counts:
            async for count in counts:
                yield count


class _Running:
    """One version's count."""

    def __init__(self, served: Served, hold: Hold, among: "dict[Served, _Running]") -> None:
        """
        Args:
            among: where it is found as long as others may join it.
        """
        self._served = served
        self._hold = hold
        self._among = among
        self._callers = 0
        self._latest: Accuracy | None = None
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._count(), name=f"evaluate {served.bundle}")
        self._task.add_done_callback(self._ended)

    async def counts(self) -> AsyncGenerator[Accuracy, None]:
        """As `Evaluations.counts`, for one caller."""
        self._callers += 1
        seen: Accuracy | None = None
        try:
            while True:
                news = self._news
                if (latest := self._latest) is not None and latest is not seen:
                    yield (seen := latest)
                elif self._task.done():
                    break
                else:
                    await news.wait()
            self._raise_again()
        finally:
            self._callers -= 1

    async def _count(self) -> None:
        """Until all is counted, or nobody is there after a batch: what a thread reads cannot be stopped before."""
        try:
            with self._served.lease() as served, self._hold:
                async for count in recount(served.batcher, self._batches(), served.bundle.manifest):
                    self._latest = count
                    self._tell()
                    if not self._callers:
                        return
        finally:
            del self._among[self._served]

    async def _batches(self) -> AsyncIterator[Validation]:
        bundle = self._served.bundle
        image_bytes = COPIES * math.prod(bundle.manifest.input.shape)
        most = max(1, self._hold.budget_bytes // PART // image_bytes)
        count = min(COUNTING_BATCH, bundle.manifest.claim.total, most)
        self._hold.take("evaluated", count * image_bytes)
        batches = bundle.read_validation_rows(count)
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                yield batch
        except BundleError as err:
            raise BundleGone(
                f"the validation split of {bundle} can no longer be read as it was published; the server's log says why"
            ) from err

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            task.exception()  # or asyncio logs it, where all callers have left
        self._tell()

    def _raise_again(self) -> None:
        """What ended the count, for one more caller: an exception has one traceback."""
        err = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        if isinstance(err, DomainError):
            raise type(err)(*err.args) from err
        if err is not None:
            raise RuntimeError("the count has failed") from err
