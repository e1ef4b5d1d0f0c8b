"""The services' tables on grpcio's asyncio server, the reference transport."""

from __future__ import annotations  # grpcio's classes are generic in its stubs only

import asyncio
from collections.abc import Iterable
from typing import Any

import grpc

from vouch.server.errors import StartFailed
from vouch.server.rpc.call import Calls
from vouch.server.rpc.method import NO_METHOD, Method
from vouch.server.serving.gate import Gate
from vouch.server.transport.addresses import why_not, written
from vouch.server.transport.grpcio_call import GrpcioCall
from vouch.server.transport.intake import Intake
from vouch.server.transport.limits import (
    HANDSHAKE_S,
    IDLE_S,
    KEEPALIVE_IDLE_S,
    KEEPALIVE_INTERVAL_S,
    KEEPALIVE_PROBES,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_BYTES,
    MIN_PING_INTERVAL_S,
    Listening,
)
from vouch.server.transport.tls import TlsContents, TlsRotation

LOOK_INTERVAL_S = 0.1
NEVER_MS = 2**31 - 1
"""gRPC's value for no limit."""
MAX_PENDING_CALLS = 8192
"""Most calls that wait to be handled; more are answered CANCELLED, which callers do not send again. With gRPC's own
default of 1,000, that happened to normal callers. Without a limit, calls that were reset immediately filled the memory
and delayed all others."""


class GrpcioServer:
    """A listening server. Made by `start_grpcio`."""

    def __init__(self, server: grpc.aio.Server, port: int) -> None:
        self._server = server
        self.port = port
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with the reason when the server stops listening unexpectedly."""
        self._watching = asyncio.create_task(self._watch(), name="watch grpcio")

    async def turn_away(self) -> None:
        """Does nothing: if gRPC closed the listener, it would answer CANCELLED to arriving calls, which callers do not
        send again. The gate answers UNAVAILABLE instead.
        """

    async def stop(self) -> None:
        """Closes all connections. To finish calls in progress, close the gate before."""
        self._watching.cancel()
        await self._server.stop(0)

    async def _watch(self) -> None:
        """Grpcio closes its listener without a report when its loop fails, for example on a path that is not UTF-8."""
        loop: Any = self._server
        while loop._server.is_running():  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(LOOK_INTERVAL_S)
        self.ended.set_exception(StartFailed("grpcio ended unexpectedly"))


async def start_grpcio(methods: Iterable[Method], gate: Gate, listening: Listening) -> GrpcioServer:
    """Starts a server that answers these methods.

    Args:
        gate: calls pass it before they are answered.

    Raises:
        StartFailed: the address is in use or not available, or the certificate cannot be used.
    """
    server = grpc.aio.server(options=options(listening))
    calls = Calls(methods, gate, listening.max_message_bytes, listening.admit, listening.budget)
    intake = Intake(listening.max_message_bytes, listening.cores)
    server.add_generic_rpc_handlers((_Handlers(calls, intake),))
    where = written(listening.host, listening.port)
    try:
        if listening.tls is None:
            port = server.add_insecure_port(where)
        else:
            port = server.add_secure_port(where, _credentials(TlsRotation(listening.tls, listening.last_good)))
    except RuntimeError as err:
        raise StartFailed(why_not(listening.host, listening.port, shared=listening.shared)) from err
    await server.start()
    return GrpcioServer(server, port)


def options(listening: Listening) -> list[tuple[str, int]]:
    """Options of gRPC's core. It silently ignores unknown names, so a test checks them."""
    return [
        ("grpc.max_receive_message_length", listening.max_message_bytes),
        ("grpc.per_message_decompression", 0),  # gRPC limits the compressed size only, not the decompressed one
        ("grpc.max_concurrent_streams", MAX_CONCURRENT_STREAMS),
        ("grpc.so_reuseport", int(listening.shared)),  # on by default: a second server would take half of the calls
        ("grpc.max_metadata_size", MAX_HEADER_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_HEADER_BYTES),
        ("grpc.max_allowed_incoming_connections", listening.connections),
        ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),
        ("grpc.max_connection_idle_ms", int(IDLE_S * 1000)),
        ("grpc.max_connection_age_ms", int(listening.max_connection_age_s * 1000) or NEVER_MS),
        ("grpc.max_connection_age_grace_ms", int(listening.grace_s * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_S * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", KEEPALIVE_IDLE_S * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES * 1000),
    ]


def _credentials(rotation: TlsRotation) -> grpc.ServerCredentials:
    """Credentials for new connections: the current files, or the last good ones."""

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(rotation.contents) if rotation.renewed() else None

    first = _configuration(rotation.contents)
    fetch: Any = renewed  # None means unchanged; the stubs do not know
    return grpc.dynamic_ssl_server_credentials(first, fetch, rotation.contents.client_ca is not None)


def _configuration(contents: TlsContents) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(contents.key, contents.certificate)], contents.client_ca)


class _Handlers(grpc.GenericRpcHandler):
    """A handler for each path, because grpcio must know before a call whether it streams. Unknown paths stream."""

    def __init__(self, calls: Calls, intake: Intake) -> None:
        self._calls = calls
        self._intake = intake
        self._known = {path: self._handler(path, method) for path, method in calls.methods.items() if path != NO_METHOD}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        path = handler_call_details.method
        return self._known.get(path) or self._handler(path, self._calls.methods[NO_METHOD])

    def _handler(self, path: str, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> bytes | None:
            call = GrpcioCall(request, context, self._intake)
            await self._calls.answer(path, call)
            return await call.answer()

        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        handler: grpc.RpcMethodHandler[Any, Any] = make(handle)  # a deserializer would answer UNKNOWN to invalid bytes
        return handler
