"""What starts a worker process, on the transport that was chosen."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vouch.server.control import VARIABLE, Assignment
from vouch.server.cores import available_cores, shares
from vouch.server.import_path import import_path
from vouch.server.settings import ServeSettings, Transport
from vouch.server.transport.envoy import envoy_launch, why_not
from vouch.server.transport.envoy_tls import EnvoyTls, write_secrets
from vouch.server.transport.tls import tls_files

log = logging.getLogger("vouch.server")

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


def chosen_transport(wanted: Transport) -> Transport:
    """Which transport serves: `auto` is Envoy where it is available, and else grpcio, with a line that says why."""
    if wanted != "auto":
        return wanted
    if reason := why_not():
        log.warning("transport grpcio in place of envoy, which is faster: %s", reason)
        return "grpcio"
    return "envoy"


def workplaces(transport: Transport, settings: ServeSettings, port: int, folder: Path) -> list[Workplace]:
    """One a worker, each with its share of the cores.

    Args:
        transport: not `auto`.
        folder: private and empty, and there as long as workers are started; Envoy reads in it where certificates lie.

    Raises:
        StartFailed: the transport is not available, or there are too few cores to keep to.
    """
    cores = max(1, available_cores() // settings.workers)
    kept = shares(settings.workers, cores) if settings.pin_workers else [frozenset[int]()] * settings.workers
    if transport == "envoy":
        files = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        tls = EnvoyTls(files, folder) if files else None
        if tls is not None:
            write_secrets(tls)
        command, extra = envoy_launch(settings.host, port, settings.max_message_bytes, tls=tls)
    else:
        command, extra = (sys.executable, "-P", "-m", "vouch.server.worker_process"), {}
    path = import_path(extra.get("PYTHONPATH", os.environ.get("PYTHONPATH")))
    environment = {**ALLOCATION, **os.environ, **extra, "PYTHONPATH": path}

    def launch(pinned_to: frozenset[int], end: int) -> Launch:
        assignment = Assignment(settings=settings, port=port, cores=cores, pinned_to=pinned_to, socket=end)
        return Launch(command, {**environment, VARIABLE: assignment.model_dump_json()})

    return [partial(launch, numbers) for numbers in kept]
