"""`vouch serve`: workers that share a port, what they are told to serve, and the way down again.

The supervisor watches the models folder and has every new version verified in a process of its own; the workers serve
what has vouched for itself. One that ends unasked is started anew.
"""

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial

from vouch.bundle.misplaced import not_a_models_folder
from vouch.bundle.store import ModelsFolder
from vouch.cli.stopping import ONE_WISH_S, SIGNALS
from vouch.server.errors import StartFailed
from vouch.server.forced_exit import end_within
from vouch.server.logs import event
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.launch import workplaces
from vouch.server.supervisor.pool import Crew
from vouch.server.supervisor.port import ReservedPort
from vouch.server.supervisor.state import Surroundings, build_info
from vouch.server.supervisor.status_server import Exposition
from vouch.server.supervisor.verifier import ProbeLimits, probe
from vouch.server.supervisor.watcher import Watcher
from vouch.server.transport.choice import chosen_transport
from vouch.server.transport.tls import TlsRotation, tls_files

log = logging.getLogger("vouch.server")

EXIT_WITHIN_S = 10.0
"""When nothing is served any more; a look at a models folder that is away may never return."""


class Supervisor:
    """Serves from `start` to `stop`."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._reserved: ReservedPort | None = None
        self._crew: Crew | None = None
        self._watching: asyncio.Task[None] | None = None
        self._exposition: Exposition | None = None
        self._draining = False

    @property
    def port(self) -> int:
        """The port that the workers listen on."""
        assert self._reserved is not None
        return self._reserved.port

    @property
    def metrics_port(self) -> int:
        """The port where the metrics are."""
        assert self._exposition is not None
        return self._exposition.port

    @property
    def ready(self) -> bool:
        """Whether calls should come here: something is served, and SIGTERM has not come."""
        return not self._draining and self._crew is not None and self._crew.ready_workers > 0

    async def start(self) -> None:
        """Listens, NOT_SERVING until the first version has vouched for itself.

        Raises:
            StartFailed: models folder, certificate, transport, provider or address is not available.
        """
        settings = self._settings
        if wrong := not_a_models_folder(settings.models):
            raise StartFailed(wrong)
        files = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        tls = TlsRotation(files) if files else None
        if tls:
            log.info("certificate %s", tls)
        transport = chosen_transport(settings.transport)
        self._reserved = ReservedPort(settings.host, settings.port)
        try:
            here = {"transport": transport, "host": self._reserved.host}
            places = workplaces(settings.model_copy(update=here), self._reserved.port)
            self._crew = Crew(places, settings)
            self.build = build_info(transport, settings.provider)
            memory = settings.max_verify_bytes
            limits = ProbeLimits(memory_bytes=memory) if memory else ProbeLimits()
            verify = partial(probe, settings=settings, limits=limits)
            watcher = Watcher(ModelsFolder(settings.models), self._crew, verify, self._crew.install)
            around = partial(_surroundings, watcher, tls, settings.expected_servers)
            told = partial(_metrics, self._crew, around, self.build), lambda: self.ready
            self._exposition = await Exposition.start(self._reserved.host, settings.metrics_port, *told)
            self._watching = asyncio.create_task(watcher.watch(settings.scan_interval_s), name="watcher")
            await self._crew.start()  # the first version is being verified meanwhile
        except BaseException:
            await self.stop()
            raise

    async def given_up(self) -> str:
        """Returns when workers cannot be kept alive, with the reason; until then it waits."""
        assert self._crew is not None
        return await self._crew.given_up()

    async def stop(self) -> None:
        """Drains: not ready, new calls told UNAVAILABLE, accepted ones answered within the grace, then all ends."""
        self._draining = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self._crew is not None:
            await self._crew.stop()
        if self._exposition is not None:
            await self._exposition.stop()
        if self._reserved is not None:
            self._reserved.close()

    def kill(self) -> None:
        """Ends all workers at once, with the calls that they answer."""
        if self._crew is not None:
            self._crew.kill()


def _surroundings(watcher: Watcher, tls: TlsRotation | None, expected_servers: int) -> Surroundings:
    if tls:
        tls.renewed()
    return Surroundings(watcher.found, tls.contents.validities if tls else {}, expected_servers)


async def _metrics(
    crew: Crew, around: Callable[[], Surroundings], build: Mapping[str, str], accepted: str
) -> tuple[str, bytes]:
    from vouch.server.supervisor.metrics import StateCollector, exposed  # noqa: PLC0415 - workers are started sooner without

    return exposed(StateCollector(await crew.state(), around(), build), accepted)


async def run_supervisor(settings: ServeSettings, started: Callable[[Supervisor], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends at once.

    Args:
        started: called when the workers listen.

    Raises:
        StartFailed: as `Supervisor.start`, or workers cannot be kept alive.
    """
    supervisor = Supervisor(settings)
    await supervisor.start()
    signals = _Signals(supervisor)
    for signal_number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signal_number, signals.arrived, signal_number)
    started(supervisor)
    stopping, given_up = asyncio.ensure_future(signals.stop.wait()), asyncio.ensure_future(supervisor.given_up())
    await asyncio.wait((stopping, given_up), return_when=asyncio.FIRST_COMPLETED)
    log.info(
        "draining: new calls are taken for %g s, accepted ones have up to %g s",
        *(settings.drain_delay_s, settings.grace_s),
        extra=event("draining", delay_s=settings.drain_delay_s, grace_s=settings.grace_s),
    )
    await supervisor.stop()
    end_within(EXIT_WITHIN_S)
    log.info("stopped", extra=event("stopped"))
    if given_up.done():
        raise StartFailed(given_up.result())
    given_up.cancel()


class _Signals:
    """The first asks the server to stop; others at that moment are the same wish, and a later one ends it at once."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.stop = asyncio.Event()
        self._supervisor = supervisor
        self._first_at = math.inf

    def arrived(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if now - self._first_at > ONE_WISH_S:
            log.warning("%s again: ending at once", number.name, extra=event("ended_at_once"))
            self._supervisor.kill()
            os._exit(1)
        self._first_at = min(self._first_at, now)
        self.stop.set()
