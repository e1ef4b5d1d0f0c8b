"""Keeps memory that a step has freed for the next step, where the C library would give it back in between.

Every step frees what it computed and needs as much again. glibc gives the end of its heap back to the system, which
takes pages from two threads in turns, and has to hand them out again one by one and emptied: about 900 of them in a
step of 128 images of 28 x 28. What is computed is the same to the last bit.
"""

import ctypes

KEPT_BYTES = 256 << 20
"""Of free memory at the end of the heap, at most."""
LARGE_BYTES = 32 << 20
"""A piece of memory from which on it is the system's own all the same: the most that glibc takes."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""https://man7.org/linux/man-pages/man3/mallopt.3.html."""


def keep_freed_memory() -> None:
    """From now on, in this process; does nothing where the C library is another than glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
