"""Makes blocks of resamplings in worker processes of one thread each, and keeps each block as soon as it is done."""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
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
"""Blocks a worker that wait for it."""


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
    waiting: list[tuple[Cell, range, Future[tuple[list[Figures], float]]]] = []
    coming = iter(jobs)
    done, began = 0, time.monotonic()
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        try:
            while True:
                while len(waiting) < AHEAD * workers and (until is None or time.monotonic() < until):
                    if (job := next(coming, None)) is None:
                        break
                    waiting.append((*job, pool.submit(block, places, *job)))
                if not waiting:
                    return
                cell, numbers, future = waiting.pop(0)
                record.add(cell.name, *future.result(BLOCK_S))
                done += 1
                passed = time.monotonic() - began
                say(f"{done} of {len(jobs)} blocks, {passed:,.0f} s: {cell.name}, {numbers.stop} resamplings")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """Of a worker."""
    torch.set_num_threads(1)
    be_quiet()


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
