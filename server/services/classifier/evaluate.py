"""Recounts the claim of a served version: one running count per version, shared by all callers.

A later caller joins the running count. It goes on as long as it has a caller. Its images are read one batch at a time
and count in the budget.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

import numpy as np

from vouch.bundle.accuracy import counting_batch
from vouch.bundle.errors import BundleError
from vouch.bundle.validation import PIECE_BYTES
from vouch.server.budget import Hold
from vouch.server.errors import BundleGone, DomainError, InvalidRequest
from vouch.server.model.recount import Batch, Counted, Counting, in_batches, recount
from vouch.server.serving.served import Served

PART = 8
"""A batch takes at most one part in this many of the budget. A model of large images may be recounted in smaller
batches than in training, which may round a few answers differently."""
COPIES = 2
"""Of a batch: the current one, and the next one while it is made."""


class Evaluations:
    """The running counts. Belongs to one event loop."""

    def __init__(self, decode: Callable[..., Awaitable[np.ndarray]]) -> None:
        """
        Args:
            decode: files to images, as `Decoder.decode`, like callers' files.
        """
        self._decode = decode
        self._running: dict[Served, _Running] = {}

    async def counts(self, served: Served, hold: Hold) -> AsyncGenerator[Counted, None]:
        """The count so far, each time it has more images; the last one has all.

        Args:
            hold: takes the images from the budget, if this caller starts the count.

        Raises:
            BundleGone: the split is no longer as published.
            DomainError: as `recount`; Overloaded if the budget has no room for a batch.
        """
        running = self._running.get(served)
        if running is None:
            running = self._running[served] = _Running(served, hold.another(), self._running, self._decode)
        async with aclosing(running.counts()) as counts:
            async for count in counts:
                yield count


class _Running:
    """One version's count."""

    def __init__(
        self,
        served: Served,
        hold: Hold,
        among: "dict[Served, _Running]",
        decode: Callable[..., Awaitable[np.ndarray]],
    ) -> None:
        """
        Args:
            among: the running counts, from which it removes itself at its end.
            decode: as in `Evaluations`.
        """
        self._decode = decode
        self._served = served
        self._hold = hold
        self._among = among
        self._callers = 0
        self._latest: Counted | None = None
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._count(), name=f"evaluate {served.bundle}")
        self._task.add_done_callback(self._ended)

    async def counts(self) -> AsyncGenerator[Counted, None]:
        """As `Evaluations.counts`, for one caller."""
        self._callers += 1
        seen: Counted | None = None
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
        """Counts to the end, or until no caller is left after a batch: a reading thread cannot be stopped earlier."""
        try:
            with self._served.lease() as served, self._hold:
                counting = Counting(served.bundle.manifest, served.recount.allowed)
                async for count in recount(served.batcher, self._batches(), counting):
                    self._latest = count
                    self._tell()
                    if not self._callers:
                        return
        finally:
            del self._among[self._served]

    async def _batches(self) -> AsyncIterator[Batch]:
        bundle, pixels = self._served.bundle, self._served.bundle.manifest.input
        image_bytes, part = COPIES * math.prod(pixels.shape), self._hold.budget_bytes // PART
        count = min(counting_batch(pixels.shape), bundle.manifest.claim.total, max(1, part // image_bytes))
        file_bytes = min(part, PIECE_BYTES) if bundle.has_files else 0
        self._hold.take("evaluated", count * image_bytes + file_bytes)

        async def decode(files: Sequence[bytes]) -> np.ndarray:
            return await self._decode(files, pixels, self._hold.another())

        try:
            async for batch in in_batches(bundle, count, decode, file_bytes or PIECE_BYTES):
                yield batch
        except (BundleError, InvalidRequest) as err:
            raise BundleGone(
                f"the validation split of {bundle} can no longer be read as published; see the server's log"
            ) from err

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            task.exception()  # or asyncio would log it if all callers have left
        self._tell()

    def _raise_again(self) -> None:
        """Raises a copy of the count's error for this caller: an exception has only one traceback."""
        err = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        if isinstance(err, DomainError):
            raise type(err)(*err.args) from err
        if err is not None:
            raise RuntimeError("the count has failed") from err
