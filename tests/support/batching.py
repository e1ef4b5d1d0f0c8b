"""Models that wait until they are let go, and a batcher over one, for tests of batching."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np

from vouch.server.counting.statistics import BatchDone
from vouch.server.model.batcher import Batcher, Limits, start_batcher
from vouch.server.model.request import Model, Rows


class HeldModel:
    """Doubles its input; each run waits until it is let go, and its batch is kept to be looked at."""

    def __init__(self, held: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self._gate = threading.Semaphore(0)
        self._held = held

    def __call__(self, parts: Sequence[np.ndarray]) -> Rows:
        images = np.concatenate(parts)
        self.batches.append(images.tolist())
        self.entered.release()
        if self._held:
            assert self._gate.acquire(timeout=10)
        return images * 2, images + 1000

    async def wait_until_running(self) -> None:
        assert await asyncio.to_thread(self.entered.acquire, timeout=10)

    def let_go(self, runs: int = 1) -> None:
        self._gate.release(runs)

    def let_all_go(self) -> None:
        self._held = False
        self._gate.release(1000)


@asynccontextmanager
async def batching(
    run: Model,
    max_batch_size: int = 4,
    max_queue_images: int = 100,
    on_batch: Callable[[BatchDone], None] = lambda done: None,
    inline_images: int = 0,
    at_once: int = 1,
) -> AsyncIterator[Batcher]:
    limits = Limits(max_batch_size, max_queue_images, inline_images, at_once=at_once)
    batcher = start_batcher(run, limits, on_batch=on_batch)
    try:
        yield batcher
    finally:
        if isinstance(run, HeldModel):
            run.let_all_go()
        await batcher.close()


def submit(batcher: Batcher, *values: int, deadline: float | None = None) -> "asyncio.Task[Rows]":
    return asyncio.get_running_loop().create_task(batcher.submit(np.array(values, np.int64), deadline))


async def until_waiting(batcher: Batcher, images: int) -> None:
    """Lets submitted tasks reach the queue."""
    async with asyncio.timeout(10):
        while batcher.waiting_images != images:
            await asyncio.sleep(0)


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():
            await asyncio.sleep(0.001)


async def until_told(done: list[BatchDone], runs: int) -> None:
    await until(lambda: len(done) == runs)
