"""The tables of the services on grpcio's asyncio server: the reference for others."""

from __future__ import annotations  # grpcio's classes are generic in its stubs only

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, nullcontext
from time import perf_counter_ns
from typing import Any

import grpc
from google.protobuf.message import Message

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import StartFailed, Unsupported
from vouch.server.rpc.method import CANCELLED, NO_METHOD, OK, CallContext, Method, Serialized, no_method
from vouch.server.rpc.status import status_of
from vouch.server.serving.gate import Gate
from vouch.server.transport.inflating import COMPRESSED, encoding_of
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
from vouch.server.transport.tls import TlsContents, TlsFiles, TlsRotation

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
LOOK_INTERVAL_S = 0.1
MAX_PENDING_CALLS = 8192
"""Calls that nobody has taken up yet; more are answered CANCELLED, which callers do not send again. By gRPC's own
default, 1,000, that happened to callers who meant no harm; without a bound, calls that were reset at once filled the
memory and held up all others."""


class GrpcioServer:
    """A listening server. Made by `start_grpcio`."""

    def __init__(self, server: grpc.aio.Server, port: int) -> None:
        self._server = server
        self.port = port
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done, with the reason as its exception, when nothing listens any more though nobody stopped it."""
        self._watching = asyncio.create_task(self._watch(), name="watch grpcio")

    async def turn_away(self) -> None:
        """Nothing: gRPC's core answers CANCELLED to calls that meet a server whose listener it closes, and callers do
        not send those again. The gate tells them UNAVAILABLE.
        """

    async def stop(self) -> None:
        """Closes all connections. Whoever wants calls to be answered first closes the gate before."""
        self._watching.cancel()
        await self._server.stop(0)

    async def _watch(self) -> None:
        """Grpcio closes its listener, and says so nowhere, when its loop fails: one path that is no UTF-8 is enough."""
        loop: Any = self._server
        while loop._server.is_running():  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(LOOK_INTERVAL_S)
        self.ended.set_exception(StartFailed("grpcio ended unasked"))


async def start_grpcio(methods: Iterable[Method], gate: Gate, listening: Listening) -> GrpcioServer:
    """Listens, and answers these methods.

    Args:
        gate: what calls pass on their way in.

    Raises:
        StartFailed: the address is taken or not available, or the certificate cannot be used.
    """
    server = grpc.aio.server(options=options(listening))
    table = {method.path: method for method in methods}
    nothing = table.pop(NO_METHOD, None) or no_method()
    intake = Intake(listening.max_message_bytes, listening.budget, listening.cores)
    for method in table.values():
        _, service, name = method.path.split("/")
        handlers = {name: _handler(method, gate, intake)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_generic_rpc_handlers((_NoMethod(nothing),))  # asked last
    where = f"{listening.host}:{listening.port}"
    try:
        if listening.tls is None:
            port = server.add_insecure_port(where)
        else:
            port = server.add_secure_port(where, _credentials(listening.tls))
    except RuntimeError as err:
        raise StartFailed(
            f"cannot listen on {where}: another server is there, or it is no address of this machine"
        ) from err
    await server.start()
    return GrpcioServer(server, port)


def options(listening: Listening) -> list[tuple[str, int]]:
    """What gRPC's core is asked for. Names that it does not know it passes over in silence: a test looks for them."""
    return [
        ("grpc.max_receive_message_length", listening.max_message_bytes),
        ("grpc.max_send_message_length", listening.max_message_bytes),
        ("grpc.per_message_decompression", 0),  # it bounds the bytes that come, not those that they become
        ("grpc.max_concurrent_streams", MAX_CONCURRENT_STREAMS),
        ("grpc.so_reuseport", int(listening.shared)),  # by default on: a second server would take half of the calls
        ("grpc.max_metadata_size", MAX_HEADER_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_HEADER_BYTES),
        ("grpc.max_allowed_incoming_connections", listening.connections),
        ("grpc.server.max_pending_requests", MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING_CALLS),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),
        ("grpc.max_connection_idle_ms", int(IDLE_S * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_S * 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", KEEPALIVE_IDLE_S * 1000),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES * 1000),
    ]


def _credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """What new connections are shown: the files as they are then, or as they last could be used."""
    rotation = TlsRotation(files)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        return _configuration(rotation.contents) if rotation.renewed() else None

    first = _configuration(rotation.contents)
    fetch: Any = renewed  # None means unchanged; the stubs do not know
    return grpc.dynamic_ssl_server_credentials(first, fetch, files.client_ca is not None)


def _configuration(contents: TlsContents) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(contents.key, contents.certificate)], contents.client_ca)


class _NoMethod(grpc.GenericRpcHandler):
    """Answers calls of methods that are not there as gRPC would, and counts them."""

    def __init__(self, method: Method) -> None:
        self._method = method

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        path = handler_call_details.method

        async def handle(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            status = status_of(Unsupported(f"there is no method {path}"), path)
            self._method.count_call(status.code, perf_counter_ns())
            await context.abort(STATUS_CODES[status.code], status.message)

        return grpc.stream_stream_rpc_method_handler(handle)


def _handler(method: Method, gate: Gate, intake: Intake) -> grpc.RpcMethodHandler[Any, Any]:
    make: Any = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    answer = _answer_stream if method.server_streaming else _answer_one

    async def plain(request: bytes, hold: Hold, caller: Callable[[], str]) -> Serialized:
        if len(request) > FREE_BYTES:
            hold.take("received", len(request))
        if not request.startswith(COMPRESSED):
            return request
        return await intake.inflater.inflated(request, encoding_of(request), hold, caller())

    async def all_plain(
        requests: AsyncIterator[bytes], hold: Hold, caller: Callable[[], str]
    ) -> AsyncIterator[Serialized]:
        async for request in requests:
            read = await plain(request, hold, caller)
            del request  # or a stream that is quiet would keep it
            yield read
            del read
            hold.end()

    async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        began_ns, call, code, hold = perf_counter_ns(), None, CANCELLED, Hold(intake.budget)
        try:
            with nullcontext() if method.while_draining else gate:
                call = CallContext(_deadline(context)) if method.wire is not None else _context(context)
                call.hold = hold
                reading = all_plain if method.client_streaming else plain
                request = reading(request, hold, context.peer)
                if not method.client_streaming:
                    request = await request
                response = await answer(method, request, context, call)
            code = OK
            return response
        except Exception as err:
            if context.cancelled():
                raise asyncio.CancelledError from err  # the caller has hung up; writing to it failed
            status = status_of(err, method.path)
            code = status.code
        finally:
            hold.end()
            method.count_call(code, began_ns, call)
        return await context.abort(STATUS_CODES[status.code], status.message)

    handler: grpc.RpcMethodHandler[Any, Any] = make(handle)  # no deserializer: it would answer UNKNOWN to garbage
    return handler


async def _answer_one(method: Method, request: Any, _: grpc.aio.ServicerContext[Any, Any], call: CallContext) -> bytes:
    if method.wire is not None:
        answer = method.wire(request, call)
        return b"".join(answer if isinstance(answer, tuple) else await answer)
    response: Message = await method.function(_decoded(method, request), call)
    return response.SerializeToString()


async def _answer_stream(
    method: Method, request: Any, context: grpc.aio.ServicerContext[Any, Any], call: CallContext
) -> None:
    if method.wire_stream is not None:
        async with aclosing(method.wire_stream(_one_by_one(request), call)) as answers:
            async for ready in answers:
                for parts in ready:
                    await context.write(b"".join(parts))
        return
    async with aclosing(method.function(_decoded(method, request), call)) as responses:
        async for response in responses:
            await context.write(response.SerializeToString())


async def _one_by_one(requests: AsyncIterator[Serialized]) -> AsyncIterator[tuple[Serialized]]:
    async for one in requests:
        yield (one,)
        del one  # or a stream that is quiet would keep it


def _decoded(method: Method, request: Any) -> Message | AsyncIterator[Message]:
    if not method.client_streaming:
        return method.decode(request)
    return (method.decode(one) async for one in request)


def _context(context: grpc.aio.ServicerContext[Any, Any]) -> CallContext:
    metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
    return CallContext(_deadline(context), metadata, context.peer())  # read now: after the call this would crash


def _deadline(context: grpc.aio.ServicerContext[Any, Any]) -> float | None:
    left = context.time_remaining()  # by the wall clock: read once, on arrival
    # Without a deadline grpcio tells of one that is centuries away.
    return None if left is None or left > 10 * 365 * 86_400 else asyncio.get_running_loop().time() + left
