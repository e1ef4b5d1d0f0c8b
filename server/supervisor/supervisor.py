"""`vouch serve`: starts workers that share a port, decides what they serve, and stops them.

The supervisor watches the models folder and verifies every new version in a process of its own; the workers serve the
versions that reproduced their claim. A worker that ends unexpectedly is replaced.
"""

import asyncio
import logging
import time

from vouch.bundle.misplaced import not_a_models_folder
from vouch.bundle.signature import KeyUnusable, PublicKey, read_public_key
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import StartFailed
from vouch.server.model.time_limits import load_within_s
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.ahead import Ahead
from vouch.server.supervisor.held_files import HeldFiles
from vouch.server.supervisor.launch import launchers, worker_cores
from vouch.server.supervisor.pool import Pool
from vouch.server.supervisor.port import ReservedPort
from vouch.server.supervisor.published import Published
from vouch.server.supervisor.state import State, Surroundings, build_info
from vouch.server.supervisor.states import Limits
from vouch.server.supervisor.status_server import StatusServer
from vouch.server.supervisor.verifier import ProbeLimits, Verifier
from vouch.server.supervisor.watcher import Watcher
from vouch.server.transport.choice import chosen_transport
from vouch.server.transport.tls import TlsRotation, tls_files

log = logging.getLogger("vouch.server")

WATCHER_ENDS_S = 2.0
"""Limit for the verifying processes to end, after all workers have ended."""


class Supervisor:
    """Serves from `start` to `stop`."""

    def __init__(self, settings: ServeSettings, ahead: Ahead | None = None) -> None:
        """
        Args:
            ahead: the process that was started before this module was loaded.
        """
        self._settings = settings
        self._ahead = ahead or Ahead()
        self._started_s = time.time()
        self._reserved: ReservedPort | None = None
        self._tls: TlsRotation | None = None
        self._keys: tuple[PublicKey, ...] = ()
        self._held = HeldFiles()
        self._published = Published(settings.models, settings.pins, self._held.holds, settings.allow_worse)
        self._watcher: Watcher | None = None
        self._pool: Pool | None = None
        self._watching: asyncio.Task[None] | None = None
        self._status: StatusServer | None = None
        self._draining = False

    @property
    def port(self) -> int:
        """The port that the workers listen on."""
        assert self._reserved is not None
        return self._reserved.port

    @property
    def metrics_port(self) -> int:
        """The port that serves the metrics."""
        assert self._status is not None
        return self._status.port

    @property
    def ready(self) -> bool:
        """Whether callers should use this server: something is served, and it does not drain."""
        return not self._draining and self._pool is not None and self._pool.ready_workers > 0

    async def start(self) -> None:
        """Takes calls, NOT_SERVING until the first version is verified. If cancelled, it stops what it started.

        Raises:
            StartFailed: models folder, key, certificate, transport, provider or address is not available.
        """
        try:
            await self._start(self._settings)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, settings: ServeSettings) -> None:
        if wrong := await asyncio.to_thread(not_a_models_folder, settings.models):  # a network drive may hang
            raise StartFailed(wrong)
        self._keys = await asyncio.to_thread(_accepted_keys, settings)
        files = tls_files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        self._tls = TlsRotation(files) if files else None
        if self._tls:
            log.info("certificate %s", self._tls)
        transport = chosen_transport(settings.transport)
        if transport == "grpcio" and settings.http:
            log.warning("transport grpcio has no HTTP: neither REST nor the page; --no-http hides this warning")
        self.build = build_info(transport, settings.provider)
        self._reserved = ReservedPort(settings.host, settings.port)
        names = (*settings.allow_host, settings.host)
        address = {"transport": transport, "host": self._reserved.host, "allow_host": names}
        chosen = settings.model_copy(update=address)
        limits = Limits(load_s=load_within_s(settings.max_batch_size), drain_s=settings.grace_s)
        started = launchers(chosen, self._reserved.port, self._tls, lambda: self._held.of(self._published.live()))
        self._pool = Pool(started, self._published, limits)
        self._watcher = self._new_watcher()
        self._status = await StatusServer.start(
            self._reserved.host, settings.metrics_port, self._metrics, lambda: self.ready
        )
        await self._watcher.look()  # so that workers start with what is published
        self._watching = asyncio.create_task(self._watcher.watch(settings.scan_interval_s), name="watcher")
        await self._pool.start()  # the first version is being verified meanwhile
        await self._ahead.end()  # nothing was there to verify

    async def given_up(self) -> str:
        """Waits until the server cannot go on; returns the reason."""
        assert self._pool is not None
        assert self._watching is not None
        pool = asyncio.ensure_future(self._pool.given_up())
        await asyncio.wait({pool, self._watching}, return_when=asyncio.FIRST_COMPLETED)
        if pool.done():
            return pool.result()
        pool.cancel()
        err = None if self._watching.cancelled() else self._watching.exception()
        return f"the watcher of the models folder has ended: {err!r}"

    async def stop(self) -> None:
        """Drains: not ready, new calls get UNAVAILABLE, accepted ones finish within the grace period; then all ends."""
        self._draining = True
        if self._watching is not None:
            self._watching.cancel()
        if self._pool is not None:
            await self._pool.stop(self._settings.drain_delay_s)
        if self._watching is not None:
            await asyncio.wait([self._watching], timeout=WATCHER_ENDS_S)
        if self._status is not None:
            await self._status.stop()
        if self._reserved is not None:
            self._reserved.close()
        self._held.keep_alone([])

    def kill(self) -> None:
        """Kills all workers immediately; calls in progress fail."""
        if self._pool is not None:
            self._pool.kill()

    def _new_watcher(self) -> Watcher:
        settings, keys = self._settings, self._keys
        memory = settings.max_verify_bytes
        limits = ProbeLimits(memory_bytes=memory) if memory else ProbeLimits()
        verifier = Verifier(settings, worker_cores(settings), limits, keys, self._ahead)
        return Watcher(ModelsFolder(settings.models), self._published, verifier, self._held)

    async def _metrics(self, accepted: str) -> tuple[str, bytes]:
        from vouch.server.supervisor.metrics import StateCollector, exposed  # noqa: PLC0415 - it starts sooner without

        if self._tls:
            self._tls.renewed()
        validities = self._tls.contents.validities if self._tls else {}
        assert self._watcher is not None
        around = Surroundings(self._watcher.found, validities, self._settings.expected_servers)
        return exposed(StateCollector(await self._state(), around, self.build), accepted)

    async def _state(self) -> State:
        assert self._pool is not None
        return State(
            started_s=self._started_s,
            counts=await self._pool.counts(),
            served=tuple(self._published.live()),
            installs=self._published.installs,
            refusals=self._published.refusals,
            refused=tuple(self._published.refused()),
            held_back=tuple(self._published.held_back()),
            workers=self._pool.workers,
            ready_workers=self._pool.ready_workers,
            restarts=self._pool.restarts,
        )


def _accepted_keys(settings: ServeSettings) -> tuple[PublicKey, ...]:
    """The keys, one of which must have signed a version. Raises StartFailed."""
    try:
        keys = tuple(read_public_key(path) for path in settings.require_signature)
    except KeyUnusable as err:
        raise StartFailed(str(err)) from err
    for path, key in zip(settings.require_signature, keys, strict=True):
        log.info("versions signed with %s (SHA-256 %s) are served", path, key.fingerprint)
    return keys
