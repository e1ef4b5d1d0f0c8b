"""How much memory there is, and how much of it a process uses, as reported by Linux."""

from contextlib import suppress
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Memory limits of the control group, for cgroup v2 and v1."""
USED = Path("/sys/fs/cgroup/memory.current")
SPARE = 1.5
"""A new process needs this many times the memory of a running one while it starts."""


def total_bytes(meminfo: Path = MEMINFO, limits: tuple[Path, ...] = CONTAINER) -> int:
    """Memory of this machine, or of the container if that has less; 4 GiB if unknown."""
    found = [_sum(meminfo, "MemTotal:")]
    for limit in limits:
        try:
            found.append(int(limit.read_text()))
        except (OSError, ValueError):  # another version, or "max"
            continue
    return min(filter(None, found), default=4 << 30)


def taken_bytes(pid: int) -> int:
    """Resident and swapped memory of a process; 0 if it has ended."""
    return _sum(Path(f"/proc/{pid}/status"), "VmRSS:", "VmSwap:")


def has_room_for(pid: int) -> bool:
    """Whether another process as large as this one would fit into memory."""
    return available_bytes() > SPARE * taken_bytes(pid)


def available_bytes(meminfo: Path = MEMINFO, limits: tuple[Path, ...] = CONTAINER, used: Path = USED) -> int:
    """Memory available now on this machine, or in the container if that has less left."""
    found = [_sum(meminfo, "MemAvailable:") or total_bytes(meminfo, ())]
    with suppress(OSError, ValueError):
        found.append(total_bytes(meminfo, limits) - int(used.read_text()))
    return min(found)


def _sum(path: Path, *names: str) -> int:
    """Sum of the lines that begin with these names; their values are in KiB."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(names))
