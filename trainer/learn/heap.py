"""Keeps freed memory for the next step, which the C library would return to the system.

Every step frees its results and needs as much memory again. glibc returns the end of its heap to the system, which must
then provide the same pages again, one by one and zeroed: about 900 in a step of 128 images of 28 x 28. The computed
results are the same to the last bit.
"""

import ctypes

KEPT_BYTES = 256 << 20
"""The most free memory that is kept at the end of the heap."""
LARGE_BYTES = 32 << 20
"""Allocations from this size still come directly from the system: the largest value that glibc accepts."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""https://man7.org/linux/man-pages/man3/mallopt.3.html."""


def keep_freed_memory() -> None:
    """Keeps freed memory from now on, in this process; does nothing without glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
