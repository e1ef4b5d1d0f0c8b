"""How much memory there is, and how much of it a process takes, as Linux says."""

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Limits of the control group, of either version."""


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


def _sum(path: Path, *names: str) -> int:
    """Of the lines that begin so, which are in KiB."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(names))
