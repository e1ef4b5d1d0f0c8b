"""Gives memory that was freed back to the system, where the C library would keep it.

glibc gives back what lies at the end of its heap. After a burst of large requests a few small pieces are in use behind
it all, and the process would stay as large as it ever was.

It also puts large pieces into the heap once one of their size has been freed, and each thread has a heap of its own:
sixty files of 27 MB, of which a worker held a few at a time, left it at 1,088 MB where it has 360 MB so.
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
"""Of a core, from which on a process is at work, and would soon take again what it gives back."""
STATM = Path("/proc/self/statm")
LARGE_BYTES = 1 << 20
"""A piece of memory from which on it is the system's own, which has it back as soon as it is freed."""
HEAPS = 2
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""https://man7.org/linux/man-pages/man3/mallopt.3.html."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
Trim = Callable[[int], int]


@dataclass(frozen=True)
class When:
    """When memory is given back."""

    look_interval_s: float = 5.0
    worked_s: float = 0.1
    """Of a processor's time since garbage was last searched; what has done less has left none worth the search."""
    worth_bytes: int = 32 << 20
    """Of growth; less is soon used again."""


def resident_bytes() -> int:
    """Of this process's memory, what the system keeps in its own: https://man7.org/linux/man-pages/man5/proc.5.html."""
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


def keep_large_pieces_apart() -> None:
    """For this process, before it has threads; nothing where the C library is another than glibc."""
    if trimmer() is not None:
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_ARENA_MAX, HEAPS)


async def give_back(trim: Trim, when: When | None = None) -> None:
    """When this process has nothing to do and is larger than it once was; never ends.

    Args:
        trim: what `trimmer` found.
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
        await asyncio.to_thread(trim, 0)  # takes 0.1 ms where there is nothing to give back


def trimmer() -> Trim | None:
    """The function of glibc, https://man7.org/linux/man-pages/man3/malloc_trim.3.html; None in other libraries."""
    if not STATM.exists():
        return None
    trim: Trim | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
