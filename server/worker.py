"""One serving process: models folder -> catalog -> services -> transport, and the way down again.

The seam for several workers: a worker only needs to be told of verified bundles (`install`) and of the end (`stop`);
today its own watcher tells it of the first, a signal of the second.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from functools import partial

from bundle.accuracy import Accuracy
from bundle.store import Bundle, ModelsFolder
from server.batcher import start_batcher
from server.catalog import Catalog, Served
from server.cores import available_cores
from server.errors import StartFailed
from server.gate import Gate
from server.probe import probe
from server.readiness import Readiness
from server.services.classifier import Classifier
from server.services.decoder import Decoder
from server.services.health import Health
from server.services.inference import Inference
from server.services.reflection import Reflection
from server.services.table import Method
from server.session import require_provider
from server.settings import ServeSettings
from server.statistics import Statistics
from server.transport.grpcio import GrpcioServer, start_grpcio
from server.verify import load
from server.watcher import Watcher

log = logging.getLogger("vouch.server")


class Worker:
    """Serves from `start` to `stop`."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._readiness = Readiness()
        self._gate = Gate()
        self._decoder = Decoder(available_cores(), settings.max_queue_images)
        self._catalog = Catalog(on_change=lambda: self._readiness.set(self._catalog.ready))
        self._server: GrpcioServer | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return self._server.port

    async def start(self) -> None:
        """Listens, NOT_SERVING until the first version has vouched for itself.

        Raises:
            StartFailed: the models folder, the provider or the address is not to be had.
        """
        settings = self._settings
        if not settings.models.is_dir():
            raise StartFailed(f"there is no models folder {settings.models}; vouch train makes one")
        require_provider(settings.provider)
        self._server = await start_grpcio(
            self._methods(), self._gate, settings.host, settings.port, settings.max_message_bytes
        )
        verify = partial(probe, settings=settings)
        watcher = Watcher(ModelsFolder(settings.models), self._catalog, verify, self.install)
        self._watching = asyncio.create_task(watcher.watch(settings.scan_interval_s), name="watcher")

    async def install(self, bundle: Bundle, served: Accuracy) -> None:
        """Loads a verified bundle, warms it up and swaps it in.

        Raises:
            Refused, InvalidBundle: it does not load here.
        """
        session = await asyncio.to_thread(load, bundle, self._settings)
        version: list[Served] = []
        statistics = Statistics()
        batcher = start_batcher(
            session.run,
            self._settings.max_batch_size,
            self._settings.max_queue_images,
            on_death=lambda err: self._catalog.withdraw(version[0], f"its runner ended by {err!r}"),
            on_batch=statistics.add,
        )
        version.append(Served(bundle, served, batcher, statistics))
        self._catalog.install(version[0])

    async def stop(self) -> None:
        """Drains: not ready, new calls told UNAVAILABLE, accepted ones answered within the grace, then all ends."""
        self._readiness.drain()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await self._gate.close(self._settings.grace_s)
        if self._server is not None:
            await self._server.stop()
        self._decoder.close()
        await self._catalog.close()

    def _methods(self) -> list[Method]:
        limit = self._settings.max_request_images
        services = [
            *Classifier(self._catalog, self._gate, self._decoder, limit).methods(),
            *Inference(self._catalog, self._gate, self._readiness, limit).methods(),
        ]
        names = sorted({method.path.split("/")[1] for method in services})
        health = Health(self._readiness, names).methods()
        return [*services, *health, *Reflection([*names, "grpc.health.v1.Health"]).methods()]


async def run_worker(settings: ServeSettings, started: Callable[[Worker], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends at once.

    Args:
        started: called when the worker listens.

    Raises:
        StartFailed: as `Worker.start`.
    """
    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    worker = Worker(settings)
    await worker.start()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, _stop_once, asked_to_stop, signal_number)
    started(worker)
    await asked_to_stop.wait()
    log.info("draining: accepted calls have up to %g s", settings.grace_s)
    await worker.stop()
    log.info("stopped")


def _stop_once(asked_to_stop: asyncio.Event, signal_number: signal.Signals) -> None:
    if asked_to_stop.is_set():
        log.warning("%s again: ending at once", signal_number.name)
        os._exit(1)
    asked_to_stop.set()
