"""Room for stacked images: in memory, or where they would take too much of it, in a file that is mapped into memory.

The file has no name, so it is gone with the array, however the process ends. It lies in $TMPDIR, or in /var/tmp, which
is a disk also where /tmp is memory.
"""

import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vouch.sources.errors import SourceError

SHARE_IN_MEMORY = 0.25
"""Of the available memory: splitting may copy the images once, and fitting needs room as well."""
CHUNK_BYTES = 64 << 20
_MEMINFO, _CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def room_for(shape: tuple[int, ...], in_memory_bytes: int | None = None) -> np.ndarray:
    """An array of uint8 and of this shape, with any content; writable.

    Args:
        in_memory_bytes: a larger one is mapped from a file; None: a quarter of the available memory.

    Raises:
        SourceError: there is no such room on the disk either.
    """
    size = math.prod(shape)
    if size <= (SHARE_IN_MEMORY * available_memory() if in_memory_bytes is None else in_memory_bytes):
        return np.empty(shape, dtype=np.uint8)
    folder = _folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error now, not a crash on writing later
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype=np.uint8).reshape(shape)
    except (OSError, OverflowError, ValueError) as err:
        raise SourceError(
            f"{shape[0]:,} images of {' x '.join(map(str, shape[1:]))} take {size / 1e9:,.1f} GB and do not fit into "
            f"memory; pass a smaller --size HxW, or set TMPDIR to a folder with more room than {folder} has"
        ) from err


def rows_of(images: np.ndarray, rows: np.ndarray | slice, in_memory_bytes: int | None = None) -> np.ndarray:
    """These images: a view for a slice, else a copy, which is mapped where it is large.

    Args:
        images: uint8, shape (N, ...).
        rows: positions, or bool of shape (N,).
        in_memory_bytes: as in `room_for`.
    """
    if isinstance(rows, slice):
        return images[rows]
    if rows.dtype == np.bool_:
        rows = np.flatnonzero(rows)
    chosen = room_for((len(rows), *images.shape[1:]), in_memory_bytes)
    step = max(1, CHUNK_BYTES // max(1, math.prod(images.shape[1:])))
    for start in range(0, len(rows), step):
        chosen[start : start + step] = images[rows[start : start + step]]
    return chosen


def plan_room(counts: Sequence[int], shape: tuple[int, ...]) -> int:
    """Where arrays of so many images each will be, before any of them is made.

    Returns:
        bytes that they take of the memory; the others go to the disk.

    Raises:
        SourceError: that has no room for them.
    """
    memory, folder = available_memory(), _folder()
    sizes = [count * math.prod(shape) for count in counts]
    in_memory = [size for size in sizes if size <= SHARE_IN_MEMORY * memory]
    on_disk, free = sum(sizes) - sum(in_memory), shutil.disk_usage(folder).free
    if on_disk > free:
        copies = " and once more in their splits" if len(counts) > 1 else ""
        raise SourceError(
            f"{counts[0]:,} images of {' x '.join(map(str, shape))} take {sizes[0] / 1e9:,.1f} GB{copies}; of "
            f"{memory / 1e9:,.1f} GB of memory a quarter is for images, and {folder} has {free / 1e9:,.1f} GB left: "
            "pass a smaller --size HxW, or set TMPDIR to a folder with more room"
        )
    return sum(in_memory)


def available_memory() -> int:
    """Bytes that may still be taken, as Linux and the container's limit say; where neither does, 4 GiB."""
    available = [
        int(line.split()[1]) << 10
        for line in (_MEMINFO.read_text().splitlines() if _MEMINFO.exists() else ())
        if line.startswith("MemAvailable:")
    ]
    return min([*available, *_left_in_container()], default=4 << 30)


def _left_in_container() -> list[int]:
    """What the control group leaves, of either version: of files that were read, the system gives memory back."""
    for limit_file, used_file, word in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            limit, used = ((_CONTAINER / name).read_text().strip() for name in (limit_file, used_file))
            if limit == "max":
                return []
            statistics = (_CONTAINER / used_file).with_name("memory.stat").read_text().split()
        except OSError:
            continue
        given_back = int(dict(zip(statistics[::2], statistics[1::2], strict=True)).get(word, 0))
        return [max(0, int(limit) - int(used) + given_back)]
    return []


def _folder() -> str:
    return tempfile.gettempdir() if "TMPDIR" in os.environ or not os.access("/var/tmp", os.W_OK) else "/var/tmp"  # noqa: S108
