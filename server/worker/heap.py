"""Returns freed memory to the system that the C library would keep.

glibc returns only memory at the end of its heap. After a burst of large requests a few small pieces at the end are
still in use, and the process would stay at its largest size.

Once a large piece was freed, glibc also puts pieces of that size into the heap, and each thread has a heap of its own.
After sixty files of 27 MB, a few at a time, a worker had 1,088 MB; with these settings it has 360 MB.
"""

import asyncio
import ctypes
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.2
"""Share of a core above which a process counts as working, and would soon need the memory again."""
STATM = Path("/proc/self/statm")
LARGE_BYTES = 1 << 20
"""Pieces of at least this size are allocated with mmap, and return to the system as soon as they are freed."""
HEAPS = 2
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""https://man7.org/linux/man-pages/man3/mallopt.3.html."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
Trim = Callable[[int], int]


@dataclass(frozen=True)
class When:
    """When memory is returned."""

    look_interval_s: float = 5.0
    worked_s: float = 0.1
    """Processor time since the last garbage collection; less work leaves too little garbage."""
    worth_bytes: int = 32 << 20
    """Growth; less is soon used again."""


def resident_bytes() -> int:
    """Resident memory of this process: https://man7.org/linux/man-pages/man5/proc.5.html."""
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


def keep_large_pieces_apart() -> None:
    """Allocates large pieces with mmap in this process. Call it before threads start. Does nothing without glibc."""
    if trimmer() is not None:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_ARENA_MAX, HEAPS)


async def give_back(trim: Trim, when: When | None = None) -> None:
    """Returns memory whenever this process is idle and has grown; never ends.

    Args:
        trim: the result of `trimmer`.
    """
    when = when or When()
    least, searched_at_s = resident_bytes(), 0.0
    while True:
        began_s = time.process_time()
        await asyncio.sleep(when.look_interval_s)
        now_s = time.process_time()
        least = min(least, resident_bytes())
        is_busy = now_s - began_s > BUSY * when.look_interval_s
        if is_busy or resident_bytes() <= least + when.worth_bytes:
            continue
        if now_s - searched_at_s > when.worked_s:
            gc.collect()
            searched_at_s = time.process_time()
        await asyncio.to_thread(trim, 0)  # takes 0.1 ms if there is nothing to return


def trimmer() -> Trim | None:
    """Returns glibc's malloc_trim, https://man7.org/linux/man-pages/man3/malloc_trim.3.html; None without glibc."""
    if not STATM.exists():
        return None
    trim: Trim | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
