"""Combines many callers' images into one run: what waits runs as soon as the model is free, without added delay.

Knows neither gRPC nor ONNX: it is given a function. One task per concurrent run takes batches from the queue. A
request's future travels with it.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from vouch.server.budget import Budget, Share
from vouch.server.counting.statistics import BatchDone
from vouch.server.errors import Closed, DeadlineExpired, DomainError, ModelFailed, Overloaded
from vouch.server.model.gathering import Gathering
from vouch.server.model.queue import TOO_LATE, BatchQueue
from vouch.server.model.request import Model, Request, Rows, Slice, Unusable, for_one_caller
from vouch.server.model.runs import Runs


@dataclass(frozen=True)
class Limits:
    """Limits of a batcher."""

    batch_images: int
    """Most images per run."""
    queue_images: int
    """Most images that may wait."""
    inline_images: int = 0
    """Requests of at most this many images run on the event loop if nothing waits; 0: none."""
    delay_s: float = 0.0
    """How long a batch that is not full waits for more images; 0: it runs as soon as the model is free."""
    at_once: int = 1
    """Most concurrent runs."""


class Batcher:
    """Runs a function on what callers submit, batch by batch. Made by `start_batcher`."""

    def __init__(self, runs: Runs, limits: Limits, share: Share) -> None:
        self._runs = runs
        self._limits = limits
        self._share = share
        self._inline_images = 0 if limits.delay_s else limits.inline_images
        self._gathering = Gathering(runs, limits.batch_images, self._inline_images)
        self._queue = BatchQueue(limits.batch_images)
        self._running = 0
        """Number of runs in threads now."""
        self._wake = asyncio.Event()
        self._closing: DomainError | None = None
        self._executor = ThreadPoolExecutor(limits.at_once, thread_name_prefix="model")
        self._runners: list[asyncio.Task[None]] = []

    @property
    def waiting_images(self) -> int:
        """Number of images that no run has taken yet."""
        return self._queue.images

    def run_inline(self, images: np.ndarray, deadline: float | None = None) -> "Rows | asyncio.Future[Rows] | None":
        """The function's outputs, computed on the event loop; None if the request must be queued.

        Args:
            images, deadline: as `submit` takes them.

        Returns:
            The outputs, or a future that has them by the end of the loop's next turn. ModelFailed and UnusableAnswer
            are always in a future.

        Raises:
            DeadlineExpired: it has passed.
        """
        if len(images) > self._inline_images or self._queue.images or self._running or self._closing is not None:
            return None
        if deadline is not None and deadline <= asyncio.get_running_loop().time():
            raise DeadlineExpired(TOO_LATE)
        return self._gathering.add(images)

    async def submit(self, images: np.ndarray, deadline: float | None = None, own_bytes: int = 0) -> Rows:
        """The function's outputs for these images, computed together with other callers' images.

        Args:
            images: shape (N, ...), N >= 1, the same for all callers except N. Not to be changed before this returns.
            deadline: in the event loop's time; images still waiting then never reach the model.
            own_bytes: bytes already in use for the same call.

        Returns:
            Arrays of N rows, in the order of the images.

        Raises:
            Overloaded: too many images or bytes are waiting now; nothing was enqueued.
            InvalidRequest: the request is larger than the limit.
            DeadlineExpired: the deadline passed while images were waiting.
            ModelFailed: the function raised or returned too few rows; other batches are unaffected.
            UnusableAnswer: its output for one of these images is unusable; other callers are unaffected.
            Closed: the batcher is closing; nothing was enqueued.

        Cancelling the caller drops its images and affects no other caller.
        """
        if (inline := self.run_inline(images, deadline)) is not None:
            return await inline if isinstance(inline, asyncio.Future) else inline
        if self._closing is not None:
            raise for_one_caller(self._closing)
        if self.waiting_images + len(images) > self._limits.queue_images:
            raise Overloaded(
                f"{self.waiting_images:,} images are waiting, and the limit is {self._limits.queue_images:,}; "
                f"{len(images):,} more do not fit"
            )
        self._share.require(images.nbytes, own_bytes)
        loop = asyncio.get_running_loop()
        request = Request(images, deadline, loop.create_future(), due=self._due(loop.time(), deadline))
        self._queue.add(request)
        self._wake.set()
        try:
            return await request.answer
        finally:
            self._give_up(request)

    async def close(self) -> None:
        """Refuses new requests, answers the waiting ones, then ends the runners and their threads."""
        self._closing = self._closing or Closed("this model's version is no longer served")
        self._gathering.run()
        self._wake.set()
        if self._runners:
            await asyncio.wait(self._runners)
        self._executor.shutdown()
        self._runs.end()
        self._share.end()

    def _due(self, now: float, deadline: float | None) -> float:
        """When a request stops waiting for others: at least half of the time to its deadline is left for the model."""
        latest = now + self._limits.delay_s
        return latest if deadline is None else min(latest, (now + deadline) / 2)

    def _give_up(self, request: Request) -> None:
        """Its caller no longer waits: removes it from the queue, and frees its memory as soon as no run needs it."""
        if request.left:  # it was cancelled, expired or failed
            self._queue.remove(request)
        request.given_up = True
        if not request.running:
            self._share.give_back(request.images.nbytes)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._limits.delay_s:
                await self._wait_for_more()
            if batch := self._queue.take(loop.time()):
                await self._run_in_thread(batch)
            elif self._closing is not None:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _wait_for_more(self) -> None:
        """Waits until a batch is full, or a request has waited long enough."""
        while self._queue and self.waiting_images < self._limits.batch_images and self._closing is None:
            due = self._queue.due()
            if due <= asyncio.get_running_loop().time():
                return
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()

    async def _run_in_thread(self, batch: list[Slice]) -> None:
        self._running += 1
        try:
            parts = [part.images for part in batch]
            outcome = await asyncio.get_running_loop().run_in_executor(self._executor, self._runs, parts)
            self._runs.settle(batch, outcome)
        except BaseException:
            self._fail_all(batch)
            raise
        finally:
            self._running -= 1
            for part in batch:
                part.request.running -= 1
                if part.request.given_up and not part.request.running:
                    self._share.give_back(part.request.images.nbytes)

    def _fail_all(self, batch: Sequence[Slice] = ()) -> None:
        """A runner has ended: fails all waiting requests, and those of this batch."""
        self._closing = self._closing or ModelFailed("the task that runs this model has ended")
        for request in [*self._queue.clear(), *(part.request for part in batch)]:
            request.fail(for_one_caller(self._closing))
        self._wake.set()


def start_batcher(
    run: Model,
    limits: Limits,
    share: Share | None = None,
    on_death: Callable[[BaseException], None] = lambda err: None,
    on_batch: Callable[[BatchDone], None] = lambda done: None,
    unusable: Callable[[Rows], Unusable] = lambda rows: None,
) -> Batcher:
    """Starts a batcher in the running event loop.

    Args:
        run: parts, arrays of shape (n, ...) -> arrays with as many rows as all parts together. Blocks; called in the
            batcher's own threads, one per concurrent run. It must combine the parts itself, because a GPU does that in
            its own memory.
        share: budget of the bytes that may wait; None: no limit.
        on_death: called with the error if a runner itself fails, which is a bug.
        on_batch: called for every run, in the event loop, before its callers get their answers. Must not raise.
        unusable: finds the unusable rows of a run's outputs; called in the thread of the run.
    """
    batcher = Batcher(Runs(run, on_batch, unusable), limits, share or Budget(sys.maxsize).share())

    def ended(runner: asyncio.Task[None]) -> None:
        batcher._fail_all()
        if not runner.cancelled() and (err := runner.exception()) is not None:
            on_death(err)

    for _ in range(limits.at_once):
        batcher._runners.append(runner := asyncio.get_running_loop().create_task(batcher._work(), name="batcher"))
        runner.add_done_callback(ended)
    return batcher
