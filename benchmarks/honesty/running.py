"""Makes blocks of resamplings in worker processes with one thread each, and stores each block when it is done."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing import get_context

import torch

from benchmarks.honesty.cells import Cell
from benchmarks.honesty.promises import Figures
from benchmarks.honesty.record import Record
from benchmarks.honesty.resampling import Places, block
from benchmarks.runs import commit, cpu_flags, machine
from benchmarks.training.running import CODE, FLAGS
from vouch.cli.console import be_quiet

MEASURES = (*CODE, "benchmarks/honesty")
LIBRARIES = ("torch", "numpy", "scikit-learn", "MAPIE")
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
BLOCK_S = 3600.0
"""A block that is not done by then never is."""
AHEAD = 2
"""Blocks a worker that are begun or wait for it."""
Found = tuple[list[Figures], float]
"""Rows, and the seconds of a core that they took."""


def where() -> dict[str, str]:
    """Code, machine and libraries."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return {
        "commit": commit(MEASURES),
        "machine": f"{machine()}, {' '.join(cpu_flags(FLAGS))}",
        "libraries": libraries,
    }


def run_all(
    jobs: Sequence[tuple[Cell, range]], places: Places, record: Record, workers: int, until: float | None
) -> None:
    """Makes the blocks in their order.

    Args:
        until: of `time.monotonic`, when no further block is begun; None: all are made.
    """
    for name in ONE_THREAD:  # read by the libraries that a worker loads
        os.environ[name] = "1"
    began = time.monotonic()
    with _workers(workers) as pool:
        for done, (cell, numbers, found) in enumerate(_in_order(pool, jobs, places, AHEAD * workers, until), 1):
            record.add(cell.name, *found)
            passed = time.monotonic() - began
            say(f"{done:,} of {len(jobs):,} blocks, {passed:,.0f} s: {cell.name}, {numbers.stop:,} resamplings")


def _in_order(
    pool: ProcessPoolExecutor, jobs: Sequence[tuple[Cell, range]], places: Places, ahead: int, until: float | None
) -> Iterator[tuple[Cell, range, Found]]:
    """What the blocks found, in their order; so many are begun or wait at any time."""
    coming, waiting = iter(jobs), list[tuple[Cell, range, Future[Found]]]()
    while True:
        while len(waiting) < ahead and (until is None or time.monotonic() < until):
            if (job := next(coming, None)) is None:
                break
            waiting.append((*job, pool.submit(block, places, *job)))
        if not waiting:
            return
        cell, numbers, future = waiting.pop(0)
        yield cell, numbers, future.result(BLOCK_S)


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    """Ctrl-C is for the one that asked for them: they end the blocks that they have begun."""
    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin)
    heeding = signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a process ignores, those that it starts do too
    try:
        for _ in range(count):
            pool.submit(_begin)
    finally:
        signal.signal(signal.SIGINT, heeding)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Of a worker."""
    torch.set_num_threads(1)
    be_quiet()


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
