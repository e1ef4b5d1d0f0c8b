"""The services' tables on h2corn: HTTP/2 in Rust, in this process's own event loop.

It listens on a socket of our own. Its settings are in `h2corn_settings`; docs/decisions/transport.md gives the reasons
for this choice.

A generation is one h2corn server that takes connections. The next generation takes over when the certificate has
changed or when connections have reached their age, because h2corn handles neither. The old one sends GOAWAY to its
callers: they connect again, and their calls go on.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

from h2corn import RequestPolicy, Server

from vouch.server.cores import interrupt_nobody
from vouch.server.errors import StartFailed
from vouch.server.logs import event
from vouch.server.rpc.call import Calls
from vouch.server.rpc.method import Method
from vouch.server.serving.gate import Gate
from vouch.server.transport.asgi import App
from vouch.server.transport.h2corn_settings import config, policies_of
from vouch.server.transport.intake import Intake
from vouch.server.transport.limits import (
    Listening,
    descriptors_for_connections,
)
from vouch.server.transport.listening_socket import (
    close_all,
    descriptors,
    duplicates_of_connections,
    hear_again,
    hear_nobody,
    listening_socket,
)
from vouch.server.transport.tls import TlsFiles, TlsRotation

log = logging.getLogger("vouch.server")

HTTP2_THREAD = "tokio-rt-worker"
"""h2corn's own thread. An answer wakes it three times. On a core shared with the event loop, it would interrupt the
loop three times per call."""
RENEWAL_INTERVAL_S = 1.0
AGE_SPREAD = 0.1
"""Random spread of a connection's age, so that not all workers renew their connections at the same time."""
MAX_DRAINING = 8
"""Most old generations with calls in progress, each with a thread of its own; then connections become older."""
HELD_S = 2.0
"""Time for callers to receive GOAWAY. h2corn closes a connection without calls immediately after it: without a second
descriptor, data on its way would be lost."""
SETTLED_S = 0.3
"""Time for connections that wait in the listener, and for their handshakes, before GOAWAY is sent."""
ACCEPTED_S = 0.5
"""Time for h2corn's thread to stop accepting connections: if it accepts from a closed listener, all its calls fail."""
CLOSED_WITHIN_S = 1.0
"""Limit for closing the connections after all calls have ended."""


@dataclass(frozen=True)
class _Generation:
    """An h2corn server for connections with one certificate and about the same age."""

    listener: socket.socket
    """Its own descriptor of the listener."""
    server: Server
    serving: "asyncio.Task[None]"


class H2cornServer:
    """A listening server. Made by `start_h2corn`."""

    def __init__(
        self,
        app: App,
        gate: Gate,
        listening: Listening,
        listener: socket.socket,
        policies: tuple[RequestPolicy, ...],
    ) -> None:
        """
        Args:
            listener: a listening socket, which this server owns from now on.
        """
        self._app = app
        self._gate = gate
        self._listening = listening
        self._policies = policies
        self._connections = listening.connections_each
        self._rotation = TlsRotation(listening.tls, listening.last_good) if listening.tls else None
        self._listener = listener
        self._current: _Generation | None = None
        self._draining: set[asyncio.Task[None]] = set()
        self._held: list[list[int]] = []
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with the reason when the server stops listening unexpectedly."""
        self.port: int = listener.getsockname()[1]

    async def start(self) -> None:
        """Raises StartFailed."""
        try:
            self._current = await self._begin()
        except BaseException:
            self._listener.close()
            raise
        if self._rotation is not None or self._listening.max_connection_age_s:
            self._renewing = asyncio.create_task(self._renew(), name="renew connections")

    async def turn_away(self) -> None:
        """Refuses new connections from now on; sends GOAWAY on the others, whose calls go on.

        h2corn itself would leave the listener open, and new callers would wait for ever. Closing a listener resets the
        connections in its queue, and GOAWAY resets those in their handshake. So packets of new connections are dropped:
        TCP retries a second later, when another listener answers. Earlier connections get time to finish their
        handshake.
        """
        if self._stopping:
            return
        await self._renew_no_more()
        hear_nobody(self._listener)
        await asyncio.sleep(SETTLED_S)
        if self._current is not None:
            await self._say_farewell(self._current)
            await asyncio.sleep(ACCEPTED_S)
        self._shut()

    async def stop(self) -> None:
        """Closes all connections, without the pauses of `turn_away` if that was not called before.

        Connections of callers who do not read end with the process.
        """
        if not self._stopping:
            await self._renew_no_more()
            if self._current is not None:
                self._current.server.shutdown()
        if self._current is not None:
            await asyncio.wait({self._current.serving, *self._draining}, timeout=CLOSED_WITHIN_S)
        self._shut()
        for held in self._held:
            close_all(held)

    async def _renew_no_more(self) -> None:
        self._stopping = True
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait((self._renewing,), timeout=CLOSED_WITHIN_S)

    def _shut(self) -> None:
        """Closes the listener."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    async def _begin(self) -> _Generation:
        listens = self._listener.dup()
        with self._files() as files:
            server = Server(self._app, config(self._listening, listens, files, self._policies))
            serving = asyncio.create_task(server.serve(), name="h2corn")
            generation = _Generation(listens, server, serving)
            try:
                await server.wait_started()
            except asyncio.CancelledError:
                serving.cancel()
                raise
            except Exception as err:
                listens.close()
                raise StartFailed(f"h2corn failed to start: {err}") from err
        interrupt_nobody(HTTP2_THREAD)
        serving.add_done_callback(lambda task: self._ended(generation, task))
        return generation

    def _ended(self, generation: _Generation, task: "asyncio.Task[None]") -> None:
        generation.listener.close()
        err = None if task.cancelled() else task.exception()
        if self._stopping or generation is not self._current or self.ended.done():
            return
        self._listener.close()
        reason = f"h2corn ended unexpectedly: {err!r}" if err else "h2corn ended unexpectedly"
        self.ended.set_exception(StartFailed(reason))

    async def _renew(self) -> None:
        """Starts the next generation whenever the certificate or the age requires one."""
        loop, age_s = asyncio.get_running_loop(), self._listening.max_connection_age_s
        begun_s, entered = loop.time(), self._gate.entered
        within_s = age_s * random.uniform(1 - AGE_SPREAD, 1 + AGE_SPREAD)  # noqa: S311 - no secret
        while True:
            await asyncio.sleep(min(RENEWAL_INTERVAL_S, within_s / 2) if age_s else RENEWAL_INTERVAL_S)
            certificate = self._rotation is not None and await asyncio.to_thread(self._rotation.renewed)
            aged = age_s and loop.time() - begun_s > within_s and self._gate.entered > entered and self._has_room()
            if not certificate and not aged:
                continue
            begun_s, entered = loop.time(), self._gate.entered
            try:
                await self._succeed()
            except StartFailed as err:
                problem = "the certificate has changed and cannot be used; the last good one stays in use: %s"
                log.error(problem, err, extra=event("certificate_refused"))
            except Exception:
                log.exception("connections could not be renewed; they stay open")

    def _has_room(self) -> bool:
        """Whether there are descriptors for another generation, if all present connections stay."""
        taken = 2 * len(descriptors())  # each is duplicated for a moment
        return len(self._draining) < MAX_DRAINING and taken + self._connections <= descriptors_for_connections()

    async def _succeed(self) -> None:
        """Starts another generation, which takes connections from now on; the old one sends GOAWAY and drains.

        Recent connections get time to finish their handshake, because GOAWAY would reset them.
        """
        fresh = await self._begin()
        old, self._current = self._current, fresh
        assert old is not None
        try:
            hear_nobody(self._listener)
            await asyncio.sleep(SETTLED_S)
        finally:
            self._draining.add(old.serving)
            old.serving.add_done_callback(self._draining.discard)
            await self._say_farewell(old)
            hear_again(self._listener)

    async def _say_farewell(self, generation: _Generation) -> None:
        """Sends GOAWAY to all callers of a generation, and keeps their connections open until they receive it."""
        self._held = [held for held in self._held if held]
        room = descriptors_for_connections() - len(descriptors()) - self._connections
        held = await asyncio.to_thread(duplicates_of_connections, self.port, room)
        self._held.append(held)
        generation.server.shutdown()
        asyncio.get_running_loop().call_later(HELD_S, close_all, held)

    def _files(self) -> AbstractContextManager[TlsFiles | None]:
        """Files with the checked contents of the certificate."""
        return nullcontext() if self._rotation is None else self._rotation.held()


async def start_h2corn(methods: Iterable[Method], gate: Gate, listening: Listening) -> H2cornServer:
    """Starts a server that answers these methods.

    Args:
        gate: calls pass it before they are answered.

    Raises:
        StartFailed: the address is in use or not available, or the certificate cannot be used.
    """
    calls = Calls(methods, gate, listening.max_message_bytes, listening.admit, listening.budget)
    app = App(calls, Intake(listening.max_message_bytes, listening.cores), listening.http)
    policies = policies_of(calls.methods.values(), listening)
    server = H2cornServer(app, gate, listening, listening_socket(listening), policies)
    await server.start()
    return server
