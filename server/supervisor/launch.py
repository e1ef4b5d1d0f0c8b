"""How worker processes are started."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from vouch.server.cores import available_cores, shares
from vouch.server.link.messages import VARIABLE, Assignment, Held
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.import_path import import_path
from vouch.server.transport.tls import TlsRotation, in_memory

ALLOCATION = {"MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""Free bytes at the end of its heap that glibc keeps: if it returned them to the kernel immediately, each message of
100 kB and more would cost page faults. `worker/heap.py` keeps larger pieces out of the heap."""


@dataclass(frozen=True)
class Launch:
    """How a process is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    files: tuple[int, ...] = ()
    """Descriptors that it inherits, in addition to its ends of the channel. The starter closes them."""
    held: tuple[int, ...] = ()
    """Further descriptors that it inherits, and that stay open here."""


Launcher = Callable[[tuple[int, int]], Launch]
"""(the file descriptors of a worker's ends of its channel) -> how to start that worker."""


def worker_cores(settings: ServeSettings) -> int:
    """Each worker's share of the cores."""
    return max(1, available_cores() // settings.workers)


def launchers(
    settings: ServeSettings,
    port: int,
    tls: TlsRotation | None = None,
    held: Callable[[], tuple[Held, ...]] = lambda: (),
) -> list[Launcher]:
    """One for each worker, with its share of the cores.

    Args:
        tls: the last good certificate, for workers that cannot use the files when they start.
        held: the files of the served versions.

    Raises:
        StartFailed: there are too few cores to pin workers to.
    """
    cores = worker_cores(settings)
    kept = shares(settings.workers, cores) if settings.pin_workers else [frozenset[int]()] * settings.workers
    command = (sys.executable, "-P", "-m", "vouch.server.worker.process")
    environment = {**ALLOCATION, **os.environ, "PYTHONPATH": import_path(os.environ.get("PYTHONPATH"))}

    def launch(pinned_to: frozenset[int], ends: tuple[int, int]) -> Launch:
        certificate, served = _certificate(tls), held()
        assignment = Assignment(
            settings=settings,
            port=port,
            cores=cores,
            pinned_to=pinned_to,
            sockets=ends,
            tls=certificate,
            held=served,
        )
        inherited = tuple(descriptor for one in served for descriptor in one.files.values())
        return Launch(command, {**environment, VARIABLE: assignment.model_dump_json()}, certificate, inherited)

    return [partial(launch, numbers) for numbers in kept]


def _certificate(tls: TlsRotation | None) -> tuple[int, ...]:
    """Descriptors of in-memory files with the contents of the certificate's files."""
    if tls is None or not hasattr(os, "memfd_create"):
        return ()
    tls.renewed()
    return in_memory(tls.contents)
