"""The resources of a server and its processes, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """What a server and its processes have taken."""

    cpu_s: float
    """Of those too that have ended and were waited for."""
    memory_mb: float
    """Proportional set size of all, in 2^20 bytes: shared pages are divided among those that share them."""
    largest_mb: float
    """Proportional set size of the largest process."""


def usage(pid: int) -> Usage:
    """Of a process and all its descendants now."""
    pids = family(pid)
    sizes = [process_memory_mb(one, "Pss:") for one in pids]
    return Usage(sum(map(_cpu_s, pids)), sum(sizes), max(sizes, default=0.0))


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields behind the name in /proc/PID/stat, state first; empty where the process has ended."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    stat = _stat(pid)
    return sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


def process_memory_mb(pid: int, kind: str) -> float:
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(kind)), 0.0)
