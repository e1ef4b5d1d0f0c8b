"""The life of a call, the same for all transports: open, gate, admit, answer, give back, count.

A transport finds the path and makes a `TransportCall`; the rest is done here. A place for tracing is `Calls.answer`:
each call passes there once, with its start, its context and its code.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, nullcontext
from time import perf_counter_ns
from typing import Protocol

from google.protobuf.message import Message

from vouch.server.budget import UNBOUNDED, Budget, Hold
from vouch.server.errors import Unsupported
from vouch.server.rpc.admit import Admit, everybody
from vouch.server.rpc.context import CANCELLED, DEADLINE_EXCEEDED, OK, UNKNOWN, CallContext, Caller
from vouch.server.rpc.method import NO_METHOD, Method, Serialized, no_method
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.rpc.status import Status, status_of
from vouch.server.rpc.waiting import CallerLeft, until, until_closing
from vouch.server.serving.gate import Gate


class TransportCall(Caller, Protocol):
    """A transport's view of one call. Reading and writing raise CallerLeft if the caller has left; reading raises a
    DomainError if the request is invalid.
    """

    @property
    def left(self) -> Callable[[], Awaitable[None]] | None:
        """Waits until the caller has left, for calls whose messages have all been read; None if the transport cancels
        the call's task instead.
        """

    def check(self) -> None:
        """Raises InvalidRequest if the call is not valid gRPC."""

    def deadline(self) -> float | None:
        """In the event loop's time. Raises InvalidRequest."""

    async def one(self, hold: Hold) -> Serialized:
        """The only message of a unary request; the hold keeps its bytes."""

    def pieces(self, hold: Hold) -> AsyncIterator[Sequence[Serialized]]:
        """All messages of a stream, in the groups in which they arrive; the hold keeps a group's bytes until the next
        group is requested.
        """

    async def write(self, *messages: Parts) -> None:
        """Sends messages of a stream; returns when they are sent."""

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """Ends the call, with the only message of a unary response.

        Args:
            trailers: names and values in addition to gRPC's own.
        """

    async def fail(self, status: Status) -> None:
        """Ends the call with an error; does nothing if the caller has left."""


class Calls:
    """The methods of all services, and the life of their calls."""

    def __init__(
        self,
        methods: Iterable[Method],
        gate: Gate,
        max_answer_bytes: int,
        admit: Admit = everybody,
        budget: Budget = UNBOUNDED,
    ) -> None:
        """
        Args:
            gate: calls pass it before they are answered.
            max_answer_bytes: limit of one message.
            budget: each call takes its memory from it until the call ends.
        """
        self.methods = {method.path: method for method in methods}
        self._no_method = self.methods.setdefault(NO_METHOD, no_method())
        self._gate = gate
        self._max_answer_bytes = max_answer_bytes
        self._admit = admit
        self._budget = budget
        self._long_calls: set[asyncio.Task[None] | None] = set()
        """Keeps tasks alive: the event loop has only weak references, and nothing else may refer to a waiting call."""

    async def answer(self, path: str, call: TransportCall) -> None:
        """Answers a call, and counts it at its end, with the code that the caller gets.

        Raises:
            CancelledError: the transport has cancelled the task, because the caller has left.
        """
        began_ns = perf_counter_ns()
        method, context, code, task = self.methods.get(path) or self._no_method, None, CANCELLED, None
        hold = Hold(self._budget)
        try:
            call.check()
            if method is self._no_method:
                raise Unsupported(f"there is no method {path}")
            if method.wire is None:
                task = asyncio.current_task()
                self._long_calls.add(task)
            with nullcontext() if method.while_draining else self._gate:
                context = CallContext(call.deadline(), call, self._max_answer_bytes, hold)
                self._admit(method, context)
                await self._answer(method, call, context)
            code = OK
        except CallerLeft:
            return
        except Exception as err:
            status = status_of(err, path)
            code = status.code
            await call.fail(status)
        finally:
            hold.end()
            _count(method, code, began_ns, context)
            if task is not None:
                self._long_calls.discard(task)

    def hold(self) -> Hold:
        """A hold on the budget, for requests without a method; the caller must end it."""
        return Hold(self._budget)

    def count_stranger(self, began_ns: int, answered: bool = False) -> None:
        """Counts a request that is not a gRPC call.

        Args:
            began_ns: by time.perf_counter_ns.
            answered: whether it was successful, such as a page.
        """
        _count(self._no_method, OK if answered else UNKNOWN, began_ns, None)

    async def _answer(self, method: Method, call: TransportCall, context: CallContext) -> None:
        """Reads the request, and writes the response."""
        if method.wire is not None:
            answer = method.wire(await call.one(context.hold), context)
            if isinstance(answer, Soon):
                parts = await answer
            elif isinstance(answer, tuple):
                parts = answer
            else:
                async with until(context.deadline, call.left):
                    parts = await answer
        elif method.server_streaming:
            async with until(context.deadline):
                await self._answer_stream(method, call, context)
            await call.finish(None, context.trailers)
            return
        else:
            async with until(context.deadline):
                request = await self._requests(method, call, context.hold)
                async with until(None, _watched(method, call)):
                    response: Message = await method.function(request, context)
            parts = (response.SerializeToString(),)
        context.check_answer(sum(map(len, parts)))
        await call.finish(parts)

    async def _answer_stream(self, method: Method, call: TransportCall, context: CallContext) -> None:
        if method.wire_stream is not None:
            async with aclosing(method.wire_stream(call.pieces(context.hold), context)) as answers:
                async for ready in answers:
                    for parts in ready:
                        context.check_answer(sum(map(len, parts)))
                    await call.write(*ready)
            return
        request = await self._requests(method, call, context.hold)
        async with until(None, _watched(method, call)), aclosing(method.function(request, context)) as responses:
            async for response in responses:
                content = response.SerializeToString()
                context.check_answer(len(content))
                await call.write((content,))

    async def _requests(self, method: Method, call: TransportCall, hold: Hold) -> Message | AsyncIterator[Message]:
        if not method.client_streaming:
            return method.decode(await call.one(hold))
        pieces = call.pieces(hold) if method.while_draining else until_closing(call.pieces(hold), self._gate)
        return _decoded(method, pieces)


def _watched(method: Method, call: TransportCall) -> Callable[[], Awaitable[None]] | None:
    """A wait until the caller has left; None if reading the requests notices that."""
    return None if method.client_streaming else call.left


async def _decoded(method: Method, pieces: AsyncIterator[Sequence[Serialized]]) -> AsyncIterator[Message]:
    async for piece in pieces:
        for message in piece:
            yield method.decode(message)
        del piece, message  # or a quiet stream would keep them in memory


def _count(method: Method, code: int, began_ns: int, context: CallContext | None) -> None:
    """Counts a call. Streams whose messages are counted are counted only if they end with an error.

    A caller whose deadline passes often leaves before the server notices the deadline: that is not a cancellation.
    """
    if code or method.wire_stream is None:
        if code == CANCELLED and context is not None and context.is_due((perf_counter_ns() - began_ns) / 1e9):
            code = DEADLINE_EXCEEDED
        method.count(code, began_ns, context)
