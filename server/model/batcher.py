"""Many callers' images into one run: what is waiting runs as soon as the model is free, with no delay added.

Knows neither gRPC nor ONNX: it is given a function. One task takes from the queue. A request's future travels with it.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from vouch.server.budget import Budget, Share
from vouch.server.counting.statistics import BatchDone
from vouch.server.errors import Closed, DeadlineExpired, DomainError, ModelFailed, Overloaded
from vouch.server.model.queue import TOO_LATE, BatchQueue
from vouch.server.model.request import Request, Rows, Slice, Unusable, no_answer

GATHERED_BYTES = 1 << 17
"""A request of fewer is copied beside others' in less time than a run of its own would cost: the run itself, and that
other threads take the interpreter lock while it lasts."""
COMPANY = 1.25
"""Requests a turn of the event loop, on average, from which on gathering them pays."""
MEMORY = 16
"""Turns over which that average goes; also how many requests go alone before company is looked for again."""


@dataclass(frozen=True)
class Limits:
    """What a batcher keeps to."""

    batch_images: int
    """A run, at most."""
    queue_images: int
    """That may wait, at most."""
    at_once_images: int = 0
    """A request of at most so many is run on the event loop if nothing waits; 0: none."""
    delay_s: float = 0.0
    """How long a batch that is not full waits for more; 0: what waits runs as soon as the model is free."""


Gathered = tuple[np.ndarray, "asyncio.Future[Rows]", int]
"""Images that are to be run at the end of this turn of the event loop, who waits for them, and since when (ns)."""


class Batcher:
    """Runs a function on what callers submit, one batch at a time. Made by `start_batcher`."""

    def __init__(
        self,
        run: Callable[[np.ndarray], Rows],
        limits: Limits,
        share: Share,
        on_batch: Callable[[BatchDone], None] = lambda done: None,
        unusable: Callable[[Rows], Unusable] = lambda rows: None,
    ) -> None:
        self._run = run
        self._unusable = unusable
        self._on_batch = on_batch
        self._limits = limits
        self._share = share
        self._at_once_images = 0 if limits.delay_s else limits.at_once_images
        self._queue = BatchQueue(limits.batch_images)
        self._running: list[Slice] = []
        self._wake = asyncio.Event()
        self._closing: DomainError | None = None
        self._gathered: list[Gathered] = []
        self._gathered_images = 0
        self._company = 2.0 * COMPANY
        self._alone_since = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting_images(self) -> int:
        """Images that no run has taken yet."""
        return self._queue.images

    def run_soon(self, images: np.ndarray, deadline: float | None = None) -> "Rows | asyncio.Future[Rows] | None":
        """The function's outputs, computed on the event loop; None where waiting in the queue is the better way.

        A model that takes microseconds answers sooner than a thread would have been told of the images. Small requests
        that arrive within one turn of the event loop run together at its end: a run costs more than the copies. Where
        they do arrive one by one, they run one by one.

        Args:
            images, deadline: as `submit` takes them.

        Returns:
            The outputs, or what has them by the end of the loop's next turn. A ModelFailed or UnusableAnswer is always
            the latter's.

        Raises:
            DeadlineExpired: it has passed.
        """
        count = len(images)
        if count > self._at_once_images or self._queue.images or self._running or self._closing is not None:
            return None
        loop = asyncio.get_running_loop()
        if deadline is not None and deadline <= loop.time():
            raise DeadlineExpired(TOO_LATE)
        self._alone_since += 1
        if images.nbytes >= GATHERED_BYTES or (self._company < COMPANY and self._alone_since < MEMORY):
            return self._run_alone(images)
        answer: asyncio.Future[Rows] = loop.create_future()
        if self._gathered_images + count > self._at_once_images:
            self._run_gathered()
        if not self._gathered:
            loop.call_soon(self._run_gathered)
        self._gathered.append((images, answer, time.perf_counter_ns()))
        self._gathered_images += count
        return answer

    async def submit(self, images: np.ndarray, deadline: float | None = None, own_bytes: int = 0) -> Rows:
        """The function's outputs for these images, computed together with other callers' images.

        Args:
            images: shape (N, ...), N >= 1, all callers' alike but for N. Not to be changed before this returns.
            deadline: in the event loop's time; images still waiting then never reach the model.
            own_bytes: that are held for the same call.

        Returns:
            Arrays of N rows, in the order of the images.

        Raises:
            Overloaded: there is no room for so many images, or bytes; nothing was enqueued.
            InvalidRequest: there never will be.
            DeadlineExpired: the deadline passed while images were waiting.
            ModelFailed: the function raised or lost rows; other batches are unaffected.
            UnusableAnswer: it has no answer to one of these images; other callers' are unaffected.
            Closed: the batcher is closing; nothing was enqueued.

        Cancelling the caller drops its images and disturbs nobody else.
        """
        if (soon := self.run_soon(images, deadline)) is not None:
            return await soon if isinstance(soon, asyncio.Future) else soon
        if self._closing is not None:
            raise self._closing
        if self.waiting_images + len(images) > self._limits.queue_images:
            raise Overloaded(
                f"{self.waiting_images:,} images are waiting and at most {self._limits.queue_images:,} may; "
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
        """Refuses new requests, answers those that wait, then ends the runner and its thread."""
        self._closing = self._closing or Closed("this model's version is no longer served")
        self._run_gathered()
        self._wake.set()
        if self._runner is not None:
            await asyncio.wait([self._runner])
        self._executor.shutdown()
        self._share.end()

    def _due(self, now: float, deadline: float | None) -> float:
        """Of a request with a deadline, the model has half of the time at least."""
        latest = now + self._limits.delay_s
        return latest if deadline is None else min(latest, (now + deadline) / 2)

    def _give_up(self, request: Request) -> None:
        """Its caller is gone, with or without an answer: nothing of it waits or is held any longer than a run needs."""
        if request.left:  # it was cancelled, expired or failed
            self._queue.remove(request)
        request.given_up = True
        if not request.running:
            self._share.give_back(request.images.nbytes)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self._limits.delay_s:
                await self._wait_for_company()
            self._running = self._queue.take(loop.time())
            if self._running:
                await self._run_there(self._running)
            elif self._closing is not None:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _wait_for_company(self) -> None:
        """Until what waits fills a batch, or some of it has waited long enough."""
        while self._queue and self.waiting_images < self._limits.batch_images and self._closing is None:
            due = self._queue.due()
            if due <= asyncio.get_running_loop().time():
                return
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()

    def _run_gathered(self) -> None:
        """What has come within this turn of the event loop, together."""
        gathered, self._gathered, self._gathered_images = self._gathered, [], 0
        if not gathered:
            return
        self._company += (len(gathered) - self._company) / MEMORY
        self._alone_since = 0
        parts, started_ns = [images for images, _, _ in gathered], time.perf_counter_ns()
        outputs: Rows = ()
        unusable: Unusable = None
        failure: DomainError | None = None
        try:
            outputs, unusable = self._outputs(parts)
        except ModelFailed as err:
            failure = err
        run_ns = time.perf_counter_ns() - started_ns
        told, start = [], 0
        for images, answer, since_ns in gathered:
            rows = slice(start, start := start + len(images))
            if not answer.done():  # its caller is still there
                why = failure if unusable is None else no_answer(unusable, rows)
                told.append((answer, rows, started_ns - since_ns, why))
        self._count(start, run_ns, [(wait_ns, why) for _, _, wait_ns, why in told], unusable, failure is not None)
        for answer, rows, _, why in told:
            if why is None:
                answer.set_result(tuple([output[rows] for output in outputs]))
            else:
                answer.set_exception(why)

    def _run_alone(self, images: np.ndarray) -> "Rows | asyncio.Future[Rows]":
        """One request, on the event loop."""
        started_ns = time.perf_counter_ns()
        outputs: Rows = ()
        unusable: Unusable = None
        failed = False
        try:
            outputs, unusable = self._outputs([images])
            why: DomainError | None = no_answer(unusable, slice(None))
        except ModelFailed as err:
            why, failed = err, True
        self._count(len(images), time.perf_counter_ns() - started_ns, [(0, why)], unusable, failed)
        if why is None:
            return outputs
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        answer.set_exception(why)
        return answer

    async def _run_there(self, batch: list[Slice]) -> None:
        """In the batcher's thread."""
        started_ns = time.perf_counter_ns()
        try:
            parts = [part.images for part in batch]
            outputs, unusable = await asyncio.get_running_loop().run_in_executor(self._executor, self._outputs, parts)
        except ModelFailed as failure:
            self._tell(batch, started_ns, [failure] * len(batch))
        else:
            self._answered(batch, started_ns, outputs, unusable)
        finally:
            for part in batch:
                part.request.running = False
                if part.request.given_up:
                    self._share.give_back(part.request.images.nbytes)

    def _answered(self, batch: list[Slice], started_ns: int, outputs: Rows, unusable: Unusable) -> None:
        start, every = 0, []
        for part in batch:
            every.append(slice(start, start := start + len(part.images)))
        reasons = [no_answer(unusable, rows, part.start) for part, rows in zip(batch, every, strict=True)]
        self._tell(batch, started_ns, reasons, unusable)
        for part, rows, why in zip(batch, every, reasons, strict=True):
            if why is None:
                part.request.add(tuple([output[rows] for output in outputs]))

    def _outputs(self, parts: list[np.ndarray]) -> tuple[Rows, Unusable]:
        """The function's outputs for these images together, a row an image. Raises ModelFailed alone."""
        count = sum(map(len, parts))
        try:
            outputs = self._run_all(parts[0] if len(parts) == 1 else np.concatenate(parts))
            rows = list(map(len, outputs))
            if rows != [count] * len(rows):
                raise ModelFailed(f"the model answered {count} images with {rows} rows")
            return outputs, self._unusable(outputs)
        except ModelFailed:
            raise
        except Exception as err:
            raise ModelFailed(f"the model failed on {count} images") from err

    def _run_all(self, images: np.ndarray) -> Rows:
        """In as few runs as may be; only what is run on the event loop is ever longer than one."""
        most = self._limits.batch_images
        if len(images) <= most:
            return self._run(images)
        runs = [self._run(images[start : start + most]) for start in range(0, len(images), most)]
        return tuple(map(np.concatenate, zip(*runs, strict=True)))

    def _tell(
        self, batch: list[Slice], started_ns: int, reasons: Sequence[DomainError | None], unusable: Unusable = None
    ) -> None:
        """Says what a run was, before its callers have their answers: whoever has one has been counted. Then fails the
        requests for which there is a reason.
        """
        run_ns = time.perf_counter_ns() - started_ns
        ended = [
            (started_ns - part.request.submitted_ns, why)
            for part, why in zip(batch, reasons, strict=True)
            if not part.request.answer.done() and (why is not None or not part.request.left)
        ]
        images, failed = sum(len(part.images) for part in batch), unusable is None and any(reasons)
        self._count(images, run_ns, ended, unusable, failed)
        for part, why in zip(batch, reasons, strict=True):
            if why is not None:
                part.request.fail(why)

    def _count(
        self,
        images: int,
        run_ns: int,
        ended: Sequence[tuple[int, DomainError | None]],
        unusable: Unusable,
        failed: bool,
    ) -> None:
        """
        Args:
            ended: of each request that this run answered or failed, how long it waited (ns), and why it failed.
            failed: the run as a whole.
        """
        if unusable is None:
            self._on_batch(BatchDone(images, tuple([wait_ns for wait_ns, _ in ended]), run_ns, failed))
            return
        answered = tuple([wait_ns for wait_ns, why in ended if why is None])
        others = tuple([wait_ns for wait_ns, why in ended if why is not None])
        self._on_batch(BatchDone(images, answered, run_ns, False, int(unusable.sum()), others))

    def _runner_ended(self, runner: asyncio.Task[None]) -> None:
        """Whatever ended the runner, nobody is left waiting for it."""
        self._closing = self._closing or ModelFailed("the task that runs this model has ended")
        for request in [*self._queue.clear(), *(part.request for part in self._running)]:
            request.fail(self._closing)


def start_batcher(
    run: Callable[[np.ndarray], Rows],
    limits: Limits,
    share: Share | None = None,
    on_death: Callable[[BaseException], None] = lambda err: None,
    on_batch: Callable[[BatchDone], None] = lambda done: None,
    unusable: Callable[[Rows], Unusable] = lambda rows: None,
) -> Batcher:
    """A batcher at work in the running event loop.

    Args:
        run: images (N, ...) -> arrays of N rows; blocks, and is called in a thread of the batcher's own.
        share: of the bytes that may wait; None: no bound.
        on_death: told the error if the runner itself ends by one, which is a bug.
        on_batch: told of every run, in the event loop, before its callers have their answers. Must not raise.
        unusable: which rows of a run's outputs are no answer; called where the run was.
    """
    batcher = Batcher(run, limits, share or Budget(sys.maxsize).share(), on_batch, unusable)

    def ended(runner: asyncio.Task[None]) -> None:
        batcher._runner_ended(runner)
        if not runner.cancelled() and (err := runner.exception()) is not None:
            on_death(err)

    batcher._runner = asyncio.get_running_loop().create_task(batcher._work(), name="batcher")
    batcher._runner.add_done_callback(ended)
    return batcher
