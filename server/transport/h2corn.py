"""The tables of the services on h2corn: HTTP/2 in Rust, within this process's own event loop.

The only file that knows h2corn. All of its settings that decide what a stranger can do are written down here, on
sockets of our own: https://pypi.org/project/h2corn/, 2.0.0. docs/decisions.md says why it was chosen.
"""

import asyncio
import ctypes
import logging
import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from h2corn import Config, RequestPolicy, Server

from vouch.server.errors import StartFailed
from vouch.server.logs import event, is_for_people
from vouch.server.rpc.method import Method
from vouch.server.serving.gate import Gate
from vouch.server.transport.addresses import bound, cannot_listen
from vouch.server.transport.asgi import GrpcApp
from vouch.server.transport.intake import Intake
from vouch.server.transport.limits import (
    HANDSHAKE_S,
    IDLE_S,
    KEEPALIVE_IDLE_S,
    KEEPALIVE_INTERVAL_S,
    KEEPALIVE_PROBES,
    MAX_CALLS,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_BYTES,
    Listening,
)
from vouch.server.transport.tls import TlsRotation

log = logging.getLogger("vouch.server")

STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES = 1 << 20, 4 << 20
"""How much of a call, and of all calls of a connection, a caller may send before anybody has read it."""
MAX_FRAME_BYTES = 256 << 10
BACKLOG = 1024
BODY_IDLE_S = 30.0
"""How long a unary request may stand still before it is whole."""
STALL_S = 60.0
"""How long an answer may wait for a caller who does not read."""
BACKSTOP_BYTES = 1 << 20
"""Over our own limit on a message: only a request of several messages comes so far."""
RENEWAL_INTERVAL_S = 1.0
SETTLED_S = 0.3
"""For connections that wait in a listener, and their handshakes, before it is shut."""
ACCEPTED_S = 0.5
"""For h2corn's own thread to stop taking connections: it fails, with all calls, when it takes from a shut listener."""
SO_ATTACH_FILTER, BPF_RETURN = 26, 0x06
"""Linux's; Python has no names for them."""
CLOSED_WITHIN_S = 1.0
"""For connections to be closed when all calls have ended."""


@dataclass(frozen=True)
class _Generation:
    """A listener and what serves it; with another certificate there is another."""

    listener: socket.socket
    server: Server
    serving: "asyncio.Task[None]"


class H2cornServer:
    """A listening server. Made by `start_h2corn`."""

    def __init__(self, app: GrpcApp, listening: Listening, policies: tuple[RequestPolicy, ...]) -> None:
        self._app = app
        self._listening = listening
        self._policies = policies
        self._rotation = TlsRotation(listening.tls) if listening.tls else None
        self._port = listening.port
        self._current: _Generation | None = None
        self._draining: set[asyncio.Task[None]] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._stopping = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done, with the reason as its exception, when nothing listens any more though nobody stopped it."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    async def start(self) -> None:
        """Raises StartFailed."""
        self._current = await self._begin()
        if self._rotation is not None:
            self._renewing = asyncio.create_task(self._renew(self._rotation), name="renew certificates")

    async def turn_away(self) -> None:
        """No new connections from now on; those that are here are told to call elsewhere, and their calls go on."""
        if self._stopping:
            return
        self._stopping = True
        if self._renewing is not None:
            self._renewing.cancel()
        if self._current is not None:
            await _shut(self._current)

    async def stop(self) -> None:
        """Closes all that is left. What a caller who does not read keeps open ends with the process."""
        await self.turn_away()
        if self._current is not None:
            await asyncio.wait({self._current.serving, *self._draining}, timeout=CLOSED_WITHIN_S)

    async def _begin(self) -> _Generation:
        where = self._listening
        try:
            listens = bound(where.host, self._port, shared=where.shared or where.tls is not None)
            listens.listen(BACKLOG)
        except OSError as err:
            raise StartFailed(cannot_listen(where.host, self._port, err)) from err
        self._port = listens.getsockname()[1]
        _hand_down(listens)
        server = Server(self._app, self._config(listens))
        serving = asyncio.create_task(server.serve(), name="h2corn")
        generation = _Generation(listens, server, serving)
        try:
            await server.wait_started()
        except Exception as err:
            listens.close()
            raise StartFailed(f"h2corn does not start: {err}") from err
        serving.add_done_callback(lambda task: self._ended(generation, task))
        return generation

    def _ended(self, generation: _Generation, task: "asyncio.Task[None]") -> None:
        generation.listener.close()
        err = None if task.cancelled() else task.exception()
        if self._stopping or generation is not self._current or self.ended.done():
            return
        reason = f"h2corn ended unasked: {err!r}" if err else "h2corn ended unasked"
        self.ended.set_exception(StartFailed(reason))

    async def _renew(self, rotation: TlsRotation) -> None:
        """A listener with the new certificate beside the old one, which takes no more connections and drains."""
        while True:
            await asyncio.sleep(RENEWAL_INTERVAL_S)
            if not await asyncio.to_thread(rotation.renewed):
                continue
            try:
                fresh = await self._begin()
            except StartFailed as err:
                log.error(
                    "the certificate has changed and cannot be used; the last good one stays: %s",
                    err,
                    extra=event("certificate_refused"),
                )
                continue
            old, self._current = self._current, fresh
            if old is not None:
                draining = asyncio.create_task(_shut(old), name="drain the old listener")
                for task in (draining, old.serving):
                    self._draining.add(task)
                    task.add_done_callback(self._draining.discard)

    def _config(self, listens: socket.socket) -> Config:
        tls = self._listening.tls
        return Config(
            bind=(f"fd://{listens.fileno()}",),
            lifespan="off",
            runtime_threads=1,
            grpc=True,
            http1=False,
            access_log=False,
            log_format="text" if is_for_people() else "json",
            date_header=False,
            certfile=tls.certificate if tls else None,
            keyfile=tls.key if tls else None,
            ca_certs=tls.client_ca if tls else None,
            cert_reqs="required" if tls and tls.client_ca else "none",
            backlog=BACKLOG,
            limit_connections=self._listening.connections,
            max_concurrent_streams=MAX_CONCURRENT_STREAMS,
            limit_concurrency=MAX_CALLS,
            h2_max_header_list_size=MAX_HEADER_BYTES,
            h2_max_header_block_size=MAX_HEADER_BYTES,
            h2_max_inbound_frame_size=MAX_FRAME_BYTES,
            h2_initial_stream_window_size=STREAM_WINDOW_BYTES,
            h2_initial_connection_window_size=CONNECTION_WINDOW_BYTES,
            max_request_body_size=self._listening.max_message_bytes + BACKSTOP_BYTES,
            request_policies=self._policies,
            timeout_handshake=HANDSHAKE_S,
            timeout_keep_alive=IDLE_S,
            timeout_request_body_idle=BODY_IDLE_S,
            h2_timeout_response_stall=STALL_S,
            h2_timeout_write=STALL_S,
            timeout_graceful_shutdown=self._listening.grace_s,
        )


async def start_h2corn(methods: Iterable[Method], gate: Gate, listening: Listening) -> H2cornServer:
    """Listens, and answers these methods.

    Args:
        gate: what calls pass on their way in.

    Raises:
        StartFailed: the address is taken or not available, or the certificate cannot be used.
    """
    table = list(methods)
    app = GrpcApp(table, gate, Intake(listening.max_message_bytes, listening.budget, listening.cores))
    server = H2cornServer(app, listening, _policies(table, listening))
    await server.start()
    return server


def _policies(methods: Iterable[Method], listening: Listening) -> tuple[RequestPolicy, ...]:
    """A bound on the bodies of unary calls, which come at once: a stream may be long, and quiet."""
    return tuple(
        RequestPolicy(
            path=method.path,
            max_request_body_size=listening.max_message_bytes + BACKSTOP_BYTES,
            timeout_request_body_idle=BODY_IDLE_S,
            h2_timeout_response_stall=STALL_S,
        )
        for method in methods
        if not method.client_streaming
    )


def _hand_down(listens: socket.socket) -> None:
    """What connections inherit: TCP's keepalive, and that none which has ended keeps the next server from the port."""
    listens.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listens.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    listens.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


async def _shut(generation: _Generation) -> None:
    """No new connections, then a farewell to all that are there.

    h2corn alone would leave the listener open, and who connects then would wait for ever. Shutting a listener resets
    what waits in its queue, and the farewell what has not shaken hands yet. So who comes now is not heard, and asks
    again a second later, when another listener answers; those that came before get the time to settle.
    """
    _hear_nobody(generation.listener)
    await asyncio.sleep(SETTLED_S)
    generation.server.shutdown()
    await asyncio.sleep(ACCEPTED_S)
    with suppress(OSError):  # it is closed when h2corn has ended
        generation.listener.shutdown(socket.SHUT_RDWR)


def _hear_nobody(listens: socket.socket) -> None:
    """Has Linux drop all that comes to a listener: a filter of one instruction, "keep 0 bytes" (socket(7))."""
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, 0))
    listens.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))
