"""Room for stacked images: in memory, or where they would take too much of it, in a file.

The file has no name, so it is gone with the images, however the process ends. It lies in $TMPDIR, or in /var/tmp, which
is a disk also where /tmp is memory.
"""

import math
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.image_file import ImageFile
from vouch.sources.images import Images

SHARE_IN_MEMORY = 0.25
"""Of the memory that may be taken: splitting may copy the images once, and fitting needs room as well."""
_MEMINFO, _CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def room_for(shape: tuple[int, ...], memory: int | None = None) -> Images:
    """Images of this shape, with any content, to be filled row by row.

    Args:
        shape: (N, H, W) or (N, H, W, C).
        memory: bytes that everything together may take; what takes more than a quarter of it lies in a file. None: what
            is available.

    Raises:
        SourceError: there is no such room on the disk either.
    """
    if math.prod(shape) <= SHARE_IN_MEMORY * (available_memory() if memory is None else memory):
        return np.empty(shape, dtype=np.uint8)
    folder = _folder()
    try:
        return ImageFile(shape, folder)
    except (OSError, OverflowError, ValueError) as err:
        raise SourceError(
            f"{shape[0]:,} images of {' x '.join(map(str, shape[1:]))} take {math.prod(shape) / 1e9:,.1f} GB and do "
            f"not fit into memory; pass a smaller --size HxW, or set TMPDIR to a folder with more room than {folder} "
            "has"
        ) from err


def plan_room(count: int, shape: tuple[int, ...], memory: int | None = None) -> int:
    """Where so many images will be, before room for them is taken.

    Args:
        shape: of one of them.
        memory: as for `room_for`.

    Returns:
        bytes that they take of the memory; 0 where they lie in a file.

    Raises:
        SourceError: the disk has no room for them.
    """
    memory, folder = available_memory() if memory is None else memory, _folder()
    size = count * math.prod(shape)
    if size <= SHARE_IN_MEMORY * memory:
        return size
    if size > (free := shutil.disk_usage(folder).free):
        raise SourceError(
            f"{count:,} images of {' x '.join(map(str, shape))} take {size / 1e9:,.1f} GB; of {memory / 1e9:,.1f} GB "
            f"of memory a quarter is for images, and {folder} has {free / 1e9:,.1f} GB left: pass a smaller --size "
            "HxW, or set TMPDIR to a folder with more room"
        )
    return 0


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
