"""The tables of the services on h2corn: HTTP/2 in Rust, within this process's own event loop.

It listens on a socket of our own. Its settings are in `h2corn_settings`; docs/decisions/transport.md says why it was
chosen.

What takes connections is a generation. The next one takes over when the certificate has changed, which h2corn would not
notice, or when connections have reached their age, which h2corn does not know: the old one says farewell to its
callers, who connect again, and their calls go on.
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
"""h2corn's own thread. An answer is three events for it, and each wakes it: on a core that it shares with the event
loop, it interrupted that three times a call."""
RENEWAL_INTERVAL_S = 1.0
AGE_SPREAD = 0.1
"""Of a connection's age, so that not all workers send their callers away at once."""
MAX_DRAINING = 8
"""Generations whose calls still go on, each with a thread of its own; with more, connections become older."""
HELD_S = 2.0
"""For callers to hear a farewell. h2corn closes a connection without calls right behind it: without a second
descriptor of it, what is on its way by then would be lost."""
SETTLED_S = 0.3
"""For connections that wait in the listener, and their handshakes, before those that took them say farewell."""
ACCEPTED_S = 0.5
"""For h2corn's own thread to stop taking connections: it fails, with all calls, when it takes from a shut listener."""
CLOSED_WITHIN_S = 1.0
"""For connections to be closed when all calls have ended."""


@dataclass(frozen=True)
class _Generation:
    """What serves some of the connections: of one certificate, and of about the same age."""

    listener: socket.socket
    """Its own descriptor of the one listener."""
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
            listener: listens already; this owns it from now on.
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
        """Done, with the reason as its exception, when nothing listens any more though nobody stopped it."""
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
        """No new connections from now on; those that are here are told to call elsewhere, and their calls go on.

        h2corn alone would leave the listener open, and who connects then would wait for ever. Shutting a listener
        resets what waits in its queue, and the farewell what has not shaken hands yet. So who comes now is not heard,
        and asks again a second later, when another listener answers; those that came before get the time to settle.
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
        """Closes all that is left, without the pauses of `turn_away` where that was not called before.

        What a caller who does not read keeps open ends with the process.
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
        """Nobody can connect any more."""
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
                raise StartFailed(f"h2corn does not start: {err}") from err
        interrupt_nobody(HTTP2_THREAD)
        serving.add_done_callback(lambda task: self._ended(generation, task))
        return generation

    def _ended(self, generation: _Generation, task: "asyncio.Task[None]") -> None:
        generation.listener.close()
        err = None if task.cancelled() else task.exception()
        if self._stopping or generation is not self._current or self.ended.done():
            return
        self._listener.close()
        reason = f"h2corn ended unasked: {err!r}" if err else "h2corn ended unasked"
        self.ended.set_exception(StartFailed(reason))

    async def _renew(self) -> None:
        """The next generation, whenever there is a reason for one."""
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
                problem = "the certificate has changed and cannot be used; the last good one stays: %s"
                log.error(problem, err, extra=event("certificate_refused"))
            except Exception:
                log.exception("connections could not be renewed; they stay")

    def _has_room(self) -> bool:
        """For another generation, if all connections of now stay for their calls."""
        taken = 2 * len(descriptors())  # each for a moment twice
        return len(self._draining) < MAX_DRAINING and taken + self._connections <= descriptors_for_connections()

    async def _succeed(self) -> None:
        """Another generation takes connections from now on; the old one says farewell to its own, and drains.

        Who connected a moment ago gets the time to shake hands: the farewell would reset them.
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
        """GOAWAY to all its callers, and time for them to hear it."""
        self._held = [held for held in self._held if held]
        room = descriptors_for_connections() - len(descriptors()) - self._connections
        held = await asyncio.to_thread(duplicates_of_connections, self.port, room)
        self._held.append(held)
        generation.server.shutdown()
        asyncio.get_running_loop().call_later(HELD_S, close_all, held)

    def _files(self) -> AbstractContextManager[TlsFiles | None]:
        """What the certificate was when it was checked."""
        return nullcontext() if self._rotation is None else self._rotation.held()


async def start_h2corn(methods: Iterable[Method], gate: Gate, listening: Listening) -> H2cornServer:
    """Listens, and answers these methods.

    Args:
        gate: what calls pass on their way in.

    Raises:
        StartFailed: the address is taken or not available, or the certificate cannot be used.
    """
    calls = Calls(methods, gate, listening.max_message_bytes, listening.admit, listening.budget)
    app = App(calls, Intake(listening.max_message_bytes, listening.cores), listening.http)
    policies = policies_of(calls.methods.values(), listening)
    server = H2cornServer(app, gate, listening, listening_socket(listening), policies)
    await server.start()
    return server
