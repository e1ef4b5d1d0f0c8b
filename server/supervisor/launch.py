"""What starts a worker process."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from vouch.server.cores import available_cores, shares
from vouch.server.link.messages import VARIABLE, Assignment
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.import_path import import_path

ALLOCATION = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""What glibc does not give back to the kernel at once: messages of 100 kB and more would otherwise be paid for in page
faults, each time anew. Bytes; the first is the most that glibc takes."""


@dataclass(frozen=True)
class Launch:
    """How a process is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


Workplace = Callable[[int], Launch]
"""(the file descriptor of a worker's end of its channel) -> what starts that worker."""


def workplaces(settings: ServeSettings, port: int) -> list[Workplace]:
    """One a worker, each with its share of the cores.

    Raises:
        StartFailed: there are too few cores to keep to.
    """
    cores = max(1, available_cores() // settings.workers)
    kept = shares(settings.workers, cores) if settings.pin_workers else [frozenset[int]()] * settings.workers
    command = (sys.executable, "-P", "-m", "vouch.server.worker.process")
    environment = {**ALLOCATION, **os.environ, "PYTHONPATH": import_path(os.environ.get("PYTHONPATH"))}

    def launch(pinned_to: frozenset[int], end: int) -> Launch:
        assignment = Assignment(settings=settings, port=port, cores=cores, pinned_to=pinned_to, socket=end)
        return Launch(command, {**environment, VARIABLE: assignment.model_dump_json()})

    return [partial(launch, numbers) for numbers in kept]
