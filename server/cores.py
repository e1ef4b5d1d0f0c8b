"""The cores available to this process, which in a container are not all of the host's, and how threads use them."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

from vouch.server.errors import StartFailed

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota_file: Path = CGROUP_QUOTA) -> int:
    """Cores by affinity and by the control group's quota ("MICROSECONDS PERIOD" or "max PERIOD"), at least 1."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()
        return max(1, min(cores, ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        return cores  # no control group, or no quota


def shares(workers: int, cores: int) -> list[frozenset[int]]:
    """The numbers of the cores to which each worker is pinned; no core is shared.

    Args:
        cores: number of cores of one worker.

    Raises:
        StartFailed: there are too few cores.
    """
    numbers = sorted(os.sched_getaffinity(0))
    if len(numbers) < workers * cores:
        raise StartFailed(
            f"--pin-workers needs {workers * cores} cores, {cores} per worker, and there are only {len(numbers)}"
        )
    return [frozenset(numbers[place * cores : (place + 1) * cores]) for place in range(workers)]


def keep_to(cores: frozenset[int]) -> None:
    """Pins all threads of this process, and those they start, to these cores."""
    while sum(_move(int(thread.name), cores) for thread in Path("/proc/self/task").iterdir()):
        pass  # a thread that was just pinned may have started another one before


def interrupt_nobody(name: str) -> None:
    """Makes this process's threads of this name not preempt other threads when they wake.

    They keep their share of the cores (Linux's SCHED_BATCH, which needs no privilege). Does nothing if the system does
    not allow it.
    """
    for thread in Path("/proc/self/task").glob("*"):  # empty on systems other than Linux
        with suppress(OSError):  # it has ended, or the system does not allow it
            if (thread / "comm").read_text().strip() == name:
                os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))


def _move(thread: int, cores: frozenset[int]) -> bool:
    """Pins a thread; returns whether it was not pinned so before."""
    try:
        if os.sched_getaffinity(thread) == cores:
            return False
        os.sched_setaffinity(thread, cores)
    except ProcessLookupError:  # it has ended
        return False
    return True
