"""How much memory there is, and how much of it a process takes, as Linux says."""

from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Limits of the control group, of either version."""
USED = Path("/sys/fs/cgroup/memory.current")
SPARE = 1.5
"""Times the memory of a process: a new one needs more while it starts."""


def total_bytes(meminfo: Path = MEMINFO, limits: tuple[Path, ...] = CONTAINER) -> int:
    """Of this machine, or of the container where that has less; 4 GiB where nobody says."""
    found = [_sum(meminfo, "MemTotal:")]
    for limit in limits:
        try:
            found.append(int(limit.read_text()))
        except (OSError, ValueError):  # another version, or "max"
            continue
    return min(filter(None, found), default=4 << 30)


def taken_bytes(pid: int) -> int:
    """What a process has in memory and has swapped out; 0 where it is gone."""
    return _sum(Path(f"/proc/{pid}/status"), "VmRSS:", "VmSwap:")


def has_room_for(pid: int) -> bool:
    """Whether another process as large as this one would fit beside it."""
    return available_bytes() > SPARE * taken_bytes(pid)


def available_bytes(meminfo: Path = MEMINFO, limits: tuple[Path, ...] = CONTAINER, used: Path = USED) -> int:
    """That could be taken now, of this machine or of the container where that has less left."""
    found = [_sum(meminfo, "MemAvailable:") or total_bytes(meminfo, ())]
    with suppress(OSError, ValueError):
        found.append(total_bytes(meminfo, limits) - int(used.read_text()))
    return min(found)


def _sum(path: Path, *names: str) -> int:
    """Of the lines that begin so, which are in KiB."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(names))
