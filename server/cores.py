"""The cores that this process really has, which in a container are not the host's, and how its threads share them."""

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
    """The numbers of the cores that each worker may keep to, none of them another's.

    Args:
        cores: of one worker.

    Raises:
        StartFailed: there are not so many.
    """
    numbers = sorted(os.sched_getaffinity(0))
    if len(numbers) < workers * cores:
        raise StartFailed(
            f"--pin-workers takes {cores} of the cores for each of {workers} workers, and there are {len(numbers)}"
        )
    return [frozenset(numbers[place * cores : (place + 1) * cores]) for place in range(workers)]


def keep_to(cores: frozenset[int]) -> None:
    """From now on all threads of this process, and those that they start, run on these cores alone."""
    while sum(_move(int(thread.name), cores) for thread in Path("/proc/self/task").iterdir()):
        pass  # one that was elsewhere may have started another meanwhile


def interrupt_nobody(name: str) -> None:
    """From now on this process's threads of this name, when they wake, let the thread finish that runs on their core.

    They keep their share of the cores (Linux's SCHED_BATCH, which needs no privilege). A system that does not allow it
    goes on as it was.
    """
    for thread in Path("/proc/self/task").glob("*"):  # of which a system other than Linux has none
        with suppress(OSError):  # it has ended, or that is not allowed here
            if (thread / "comm").read_text().strip() == name:
                os.sched_setscheduler(int(thread.name), os.SCHED_BATCH, os.sched_param(0))


def _move(thread: int, cores: frozenset[int]) -> bool:
    """Whether the thread was elsewhere before."""
    try:
        if os.sched_getaffinity(thread) == cores:
            return False
        os.sched_setaffinity(thread, cores)
    except ProcessLookupError:  # it has ended
        return False
    return True
