"""The tables of the services as an ASGI application, for a server whose HTTP/2 is somebody else's well-kept one.

Over HTTP/2, gRPC is little: a path, a length before each message, a deadline in a header, a status in the trailers
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The server must know the extension
`http.response.trailers`.

A server may tell that a caller has left by the event `http.disconnect`, by cancelling the call's task, or by an OSError
when something is sent. All three mean the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import aclosing, asynccontextmanager, nullcontext
from time import perf_counter_ns
from typing import Any, TypeVar

from google.protobuf.message import Message

from vouch.server.errors import DeadlineExpired, Unsupported
from vouch.server.rpc.method import CANCELLED, NO_METHOD, OK, UNKNOWN, CallContext, Method, no_method
from vouch.server.rpc.soon import Soon
from vouch.server.rpc.status import status_of
from vouch.server.serving.gate import Gate
from vouch.server.transport.asgi_call import Call, CallerLeft, Receive, Scope, Send
from vouch.server.transport.intake import Intake

T = TypeVar("T")


class GrpcApp:
    """Answers the methods of some services. An ASGI application, less its lifespan."""

    def __init__(self, methods: Iterable[Method], gate: Gate, intake: Intake) -> None:
        """
        Args:
            intake: what requests come in through.
        """
        self._methods = {method.path: method for method in methods}
        self._no_method = self._methods.get(NO_METHOD) or no_method()
        self._gate = gate
        self._intake = intake
        self._long_calls: set[asyncio.Task[None] | None] = set()
        """The event loop holds its tasks weakly, and what a call waits for may be held by that call alone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, of ASGI's type `http`."""
        began_ns = perf_counter_ns()
        call = Call(scope, receive, send, self._intake)
        method, context, code, task = self._methods.get(scope["path"]) or self._no_method, None, CANCELLED, None
        try:
            if not await call.is_grpc():
                method, code = self._no_method, UNKNOWN
                return
            call.require_trailers()
            if method is self._no_method:
                raise Unsupported(f"there is no method {scope['path']}")
            if method.wire is None:
                task = asyncio.current_task()
                self._long_calls.add(task)
            with nullcontext() if method.while_draining else self._gate:
                context = CallContext(call.deadline(), hold=call.hold) if method.wire is not None else call.context()
                await _answer(method, call, context)
            code = OK
        except CallerLeft:
            return
        except Exception as err:
            status = status_of(err, scope["path"])
            code = status.code
            await call.fail(status)
        finally:
            call.hold.end()
            method.count_call(code, began_ns, context)
            if task is not None:
                self._long_calls.discard(task)


async def _answer(method: Method, call: Call, context: CallContext) -> None:
    """From the request's messages to the response's."""
    if method.wire is not None:
        answer = method.wire(await call.one(), context)
        if isinstance(answer, tuple | Soon):
            await call.finish(answer if isinstance(answer, tuple) else await answer)
            return
        async with _until(context.deadline):
            parts = await _watched(answer, call)
        await call.finish(parts)
        return
    async with _until(context.deadline):
        if method.server_streaming:
            await _answer_stream(method, call, context)
        else:
            response: Message = await _watched(method.function(await _requests(method, call), context), call)
            await call.finish((response.SerializeToString(),))


async def _answer_stream(method: Method, call: Call, context: CallContext) -> None:
    if method.wire_stream is not None:
        async with aclosing(method.wire_stream(call.pieces(), context)) as answers:
            async for ready in answers:
                await call.write(*ready)
        await call.finish()
        return
    async with aclosing(method.function(await _requests(method, call), context)) as responses:
        if method.client_streaming:  # reading the requests tells when the caller leaves
            async for response in responses:
                await call.write((response.SerializeToString(),))
        else:
            while (response := await _watched(anext(responses, None), call)) is not None:
                await call.write((response.SerializeToString(),))
    await call.finish()


async def _requests(method: Method, call: Call) -> Message | AsyncIterator[Message]:
    if not method.client_streaming:
        return method.decode(await call.one())
    return (method.decode(message) async for piece in call.pieces() for message in piece)


async def _watched(awaitable: Awaitable[T], call: Call) -> T:
    """What is awaited, unless the caller leaves before it is there: then it is cancelled."""
    work, leaving = asyncio.ensure_future(awaitable), asyncio.ensure_future(call.left())
    work.add_done_callback(_not_forgotten)
    try:
        await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise CallerLeft
    finally:
        waiting = [one for one in (work, leaving) if not one.done()]
        for one in waiting:
            one.cancel()
        if waiting:
            await asyncio.wait(waiting)
    try:
        return work.result()
    finally:  # its error leads back here: a circle, which would keep the request until the next collection of garbage
        del work, waiting, awaitable


def _not_forgotten(work: "asyncio.Future[Any]") -> None:
    """Or asyncio logs its error, where the caller left in the same moment."""
    if not work.cancelled():
        work.exception()


@asynccontextmanager
async def _until(deadline: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as err:
        raise DeadlineExpired("the deadline passed before there was an answer") from err
