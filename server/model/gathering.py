"""Inline runs: requests that arrive within one turn of the event loop run together on the loop, at the turn's end.

For models that take microseconds, which is less than handing the images to a thread. Requests that arrive one by one
run immediately.
"""

import asyncio
import time

import numpy as np

from vouch.server.model.queue import BatchQueue
from vouch.server.model.request import Request, Rows, Slice
from vouch.server.model.runs import Runs

GATHERED_BYTES = 1 << 17
"""Copying a smaller request into a common batch is faster than a run of its own, which also lets other threads take
the interpreter lock."""
WORTH_GATHERING = 1.25
"""Requests per turn of the event loop, on average, above which gathering pays."""
TURNS = 16
"""Turns in that average; also the number of requests that run alone before one is gathered again."""

Gathered = tuple[np.ndarray, "asyncio.Future[Rows]", int]
"""Images, the future of their rows, and since when they wait (ns). Not a `Request`, because every small call makes one
of these."""


class Gathering:
    """The requests that run at the end of this turn of the event loop."""

    def __init__(self, runs: Runs, batch_images: int, inline_images: int) -> None:
        """
        Args:
            batch_images: most images per run.
            inline_images: most images per turn, in as many runs as needed.
        """
        self._runs = runs
        self._batch_images = batch_images
        self._inline_images = inline_images
        self._gathered: list[Gathered] = []
        self._images = 0
        self._together = 2.0 * WORTH_GATHERING
        self._alone_since = 0

    def add(self, images: np.ndarray) -> "Rows | asyncio.Future[Rows]":
        """The rows, or a future that has them by the end of the loop's next turn. A failure is always in a future.

        Args:
            images: at most `inline_images`.
        """
        count, loop = len(images), asyncio.get_running_loop()
        self._alone_since += 1
        if images.nbytes >= GATHERED_BYTES or (self._together < WORTH_GATHERING and self._alone_since < TURNS):
            return self._run_alone(images)
        if self._images + count > self._inline_images:
            self.run()
        if not self._gathered:
            loop.call_soon(self.run)
        answer: asyncio.Future[Rows] = loop.create_future()
        self._gathered.append((images, answer, time.perf_counter_ns()))
        self._images += count
        return answer

    def run(self) -> None:
        """Runs the gathered requests, if there are any."""
        gathered, self._gathered = self._gathered, []
        images, self._images = self._images, 0
        if not gathered:
            return
        self._together += (len(gathered) - self._together) / TURNS
        self._alone_since = 0
        here = [one for one in gathered if not one[1].done()]
        if images > self._batch_images:
            self._run_in_batches([_request(one) for one in here])
        elif here:
            self._run_together(here)

    def _run_together(self, gathered: list[Gathered]) -> None:
        """Runs all in one run. Usable rows are delivered here, which is cheaper than making `Request` objects first."""
        outcome = self._runs([images for images, _, _ in gathered])
        if outcome.unusable is not None or outcome.failure is not None:
            self._runs.settle([_whole(_request(one)) for one in gathered], outcome)
            return
        started_ns, start = outcome.started_ns, 0
        self._runs.count(outcome, [started_ns - since_ns for _, _, since_ns in gathered])
        for images, answer, _ in gathered:
            rows = slice(start, start := start + len(images))
            answer.set_result(tuple([output[rows] for output in outcome.rows]))

    def _run_alone(self, images: np.ndarray) -> "Rows | asyncio.Future[Rows]":
        if len(images) <= self._batch_images:
            outcome = self._runs((images,))
            if outcome.unusable is None and outcome.failure is None:
                self._runs.count(outcome, (0,))
                return outcome.rows
            request = Request(images, None, asyncio.get_running_loop().create_future(), outcome.started_ns)
            self._runs.settle([_whole(request)], outcome)
        else:
            request = Request(images, None, asyncio.get_running_loop().create_future())
            self._run_in_batches([request])
        return request.answer

    def _run_in_batches(self, requests: list[Request]) -> None:
        queue = BatchQueue(self._batch_images)
        for request in requests:
            queue.add(request)
        while batch := queue.take(asyncio.get_running_loop().time()):
            self._runs.settle(batch, self._runs([part.images for part in batch]))


def _request(gathered: Gathered) -> Request:
    images, answer, since_ns = gathered
    return Request(images, None, answer, since_ns)


def _whole(request: Request) -> Slice:
    request.taken = len(request.images)
    return Slice(request, request.images)
