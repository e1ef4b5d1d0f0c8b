"""The life of a call, the same whatever the transport: open, gate, admit, answer, give back, count.

A transport finds the path and makes a `TransportCall` of what it has; the rest is done here. Whoever wants to follow
calls, by a trace say, does it in `Calls.answer`: each passes there once, with its begin, its context and its code.
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
    """One call as its transport has it. Reading and writing raise CallerLeft where the caller has left, and reading
    raises DomainErrors where what came is no request.
    """

    @property
    def left(self) -> Callable[[], Awaitable[None]] | None:
        """Returns when the caller has left, for calls whose messages have all been read; None where the transport then
        cancels the call's task.
        """

    def check(self) -> None:
        """Raises InvalidRequest: the call cannot be answered as gRPC wants."""

    def deadline(self) -> float | None:
        """In the event loop's time. Raises InvalidRequest."""

    async def one(self, hold: Hold) -> Serialized:
        """The only message of a unary request; its bytes stay in the hold."""

    def pieces(self, hold: Hold) -> AsyncIterator[Sequence[Serialized]]:
        """All messages of a stream, as many at a time as have come together; their bytes are in the hold until the next
        ones are asked for.
        """

    async def write(self, *messages: Parts) -> None:
        """Messages of a stream; returns when they have gone out."""

    async def finish(self, last: Parts | None = None, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        """The end, with the only message of a unary answer.

        Args:
            trailers: names and values beside gRPC's own.
        """

    async def fail(self, status: Status) -> None:
        """The end by an error; nothing where the caller has left."""


class Calls:
    """The methods of all services, and how each of their calls goes."""

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
            gate: what calls pass on their way in.
            max_answer_bytes: of one message.
            budget: of which each call holds what it takes, until it ends.
        """
        self.methods = {method.path: method for method in methods}
        self._no_method = self.methods.setdefault(NO_METHOD, no_method())
        self._gate = gate
        self._max_answer_bytes = max_answer_bytes
        self._admit = admit
        self._budget = budget
        self._long_calls: set[asyncio.Task[None] | None] = set()
        """The event loop holds its tasks weakly, and what a call waits for may be held by that call alone."""

    async def answer(self, path: str, call: TransportCall) -> None:
        """A call from its begin to its end; counted once that is known, with the code that the caller gets.

        Raises:
            CancelledError: the transport has cancelled the task, as the caller has left.
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
        """Of the budget, for what is answered without a method; whoever asks for it ends it."""
        return Hold(self._budget)

    def count_stranger(self, began_ns: int, answered: bool = False) -> None:
        """Counts what came to the port and is no call.

        Args:
            began_ns: by time.perf_counter_ns.
            answered: whether it got what it asked for, such as a page.
        """
        _count(self._no_method, OK if answered else UNKNOWN, began_ns, None)

    async def _answer(self, method: Method, call: TransportCall, context: CallContext) -> None:
        """From the request's messages to the response's."""
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
    """What tells that the caller has left; None where reading the requests does."""
    return None if method.client_streaming else call.left


async def _decoded(method: Method, pieces: AsyncIterator[Sequence[Serialized]]) -> AsyncIterator[Message]:
    async for piece in pieces:
        for message in piece:
            yield method.decode(message)
        del piece, message  # or a stream that is quiet would keep them


def _count(method: Method, code: int, began_ns: int, context: CallContext | None) -> None:
    """Any call; of streams whose messages count, only those that ended by an error.

    A caller whose deadline passes leaves, often before we see it pass: that is no cancelling.
    """
    if code or method.wire_stream is None:
        if code == CANCELLED and context is not None and context.is_due((perf_counter_ns() - began_ns) / 1e9):
            code = DEADLINE_EXCEEDED
        method.count(code, began_ns, context)
