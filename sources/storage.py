"""Space for stacked images: in memory, or if they are too large for it, in a file.

The file has no name, so it disappears with the images, however the process ends. It is in $TMPDIR, or in /var/tmp,
which is on a disk even if /tmp is in memory.
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
"""Images may take this share of the memory: splitting may copy them once, and fitting needs memory too."""
_MEMINFO, _CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def room_for(shape: tuple[int, ...], memory: int | None = None) -> Images:
    """Images of this shape with undefined content, to be filled row by row.

    Args:
        shape: (N, H, W) or (N, H, W, C).
        memory: limit in bytes for everything together; images that take more than a quarter are in a file. None: the
            available memory.

    Raises:
        SourceError: the disk does not have enough space either.
    """
    if math.prod(shape) <= SHARE_IN_MEMORY * (available_memory() if memory is None else memory):
        return np.empty(shape, dtype=np.uint8)
    folder = _folder()
    try:
        return ImageFile(shape, folder)
    except (OSError, OverflowError, ValueError) as err:
        raise SourceError(
            f"{shape[0]:,} images of {' x '.join(map(str, shape[1:]))} take {math.prod(shape) / 1e9:,.1f} GB and do "
            f"not fit into memory; pass a smaller --size HxW, or set TMPDIR to a folder with more space than {folder} "
            "has"
        ) from err


def plan_room(count: int, shape: tuple[int, ...], memory: int | None = None) -> int:
    """The memory that this many images will take, before any is allocated.

    Args:
        shape: of one image.
        memory: as for `room_for`.

    Returns:
        bytes of memory; 0 if they will be in a file.

    Raises:
        SourceError: the disk does not have enough space.
    """
    memory, folder = available_memory() if memory is None else memory, _folder()
    size = count * math.prod(shape)
    if size <= SHARE_IN_MEMORY * memory:
        return size
    if size > (free := shutil.disk_usage(folder).free):
        raise SourceError(
            f"{count:,} images of {' x '.join(map(str, shape))} take {size / 1e9:,.1f} GB; a quarter of "
            f"{memory / 1e9:,.1f} GB of memory is for images, and {folder} has {free / 1e9:,.1f} GB free: pass a "
            "smaller --size HxW, or set TMPDIR to a folder with more space"
        )
    return 0


def available_memory() -> int:
    """Available memory in bytes, from Linux and the container's limit; 4 GiB if neither is known."""
    available = [
        int(line.split()[1]) << 10
        for line in (_MEMINFO.read_text().splitlines() if _MEMINFO.exists() else ())
        if line.startswith("MemAvailable:")
    ]
    return min([*available, *_left_in_container()], default=4 << 30)


def _left_in_container() -> list[int]:
    """The memory that the control group (version 1 or 2) leaves; memory of cached files counts as free."""
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
