"""Known requests in streams: each message of a stream is answered like a unary request, in an envelope.

Messages that arrive together are read together, so that inline runs combine them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, NamedTuple, Protocol

from vouch.bundle.wire_format import read_varint, varint
from vouch.server.budget import Hold
from vouch.server.counting.statistics import Requests
from vouch.server.errors import DomainError, MessageTooLarge
from vouch.server.rpc.context import OK, CallContext
from vouch.server.rpc.method import Method, Serialized
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.rpc.stream import Work, answer_pieces
from vouch.server.serving.gate import Gate

ID_TAG = 1 << 3 | 2
INNER_TAG = 2 << 3 | 2
INNER_HEAD = bytes([INNER_TAG])


class Known(Protocol):
    """The plan of a known request."""

    @property
    def made_bytes(self) -> int:
        """Bytes of the model's values and the answer."""

    @property
    def counted_in(self) -> Requests:
        """The counts to which it is added."""


class Begun(NamedTuple):
    """A known request in progress."""

    outputs: "Any | asyncio.Future[Any]"
    """Available already, or at the end of this turn of the event loop."""
    encode: Callable[[Any], Parts]
    counted_in: Requests


class UnaryMethod(Protocol):
    """The unary method, as used by a stream of its requests."""

    def recognise(self, request: Serialized) -> tuple[Known, int] | None:
        """A request's plan, and where its content begins; None if it is not known."""

    def begin(self, request: Serialized, known: Any, at: int) -> Begun | None:
        """Starts a known request; None if it must be queued.

        Args:
            known, at: as returned by `recognise`.
        """


class NothingKnown:
    """Replaces a unary method: every request is parsed."""

    def recognise(self, _request: Serialized) -> None:
        """None."""

    def begin(self, _request: Serialized, _known: Any, _at: int) -> None:
        """None."""


@dataclass(frozen=True)
class Envelope:
    """What a stream's messages contain around those of the unary method."""

    open: Callable[[Serialized], tuple[bytes, Serialized] | None]
    """A stream's message -> the request's id field, and the unary request in it; None if that is not certain."""
    close: Callable[[bytes, Parts], Parts]
    """(the request's id field, the unary answer) -> the stream's answer."""
    failed: Callable[[bytes, Exception, CallContext], Parts]
    """(the request's id field, the error, the stream's context) -> the stream's answer; or raises to end the stream."""


Answered = tuple[Parts, Requests, int, int]
"""An answer to be sent, and what is counted afterwards: where, its code, and when it began (ns). A plain tuple, because
one is made for each message."""


class StreamPath:
    """Answers the serialized messages of streams of one method."""

    def __init__(
        self,
        unary: UnaryMethod,
        answer: Callable[[Serialized, CallContext], Awaitable[Parts]],
        envelope: Envelope,
        method: Method,
        gate: Gate,
    ) -> None:
        """
        Args:
            answer: answers any message of the stream; an error that it raises ends the stream.
            method: the stream's method; its messages are counted there, known requests at their own place.
        """
        self.unary = unary
        self.answer = answer
        self.envelope = envelope
        self.method = method
        self._gate = gate

    async def __call__(
        self, pieces: AsyncIterator[Sequence[Serialized]], context: CallContext
    ) -> AsyncGenerator[list[Parts], None]:
        """The answers, in the order of the messages. Each is counted as a request when the next ones are requested,
        because it has been sent then.
        """
        stream = _Stream(self, context)
        work = Work(stream.begin, stream.size, stream.refuse)
        async with aclosing(answer_pieces(pieces, work, self._gate, context.hold)) as answers:
            async for ready in answers:
                yield [parts for parts, _, _, _ in ready]
                now_ns = perf_counter_ns()
                for _, requests, code, began_ns in ready:
                    requests.add(self.method.path, code, now_ns - began_ns)
                del ready  # or a quiet stream would keep its last answers in memory


class _Stream:
    """The messages of one stream. `size` examines a message; `begin` or `refuse` follows immediately."""

    def __init__(self, path: StreamPath, context: CallContext) -> None:
        self._path = path
        self._context = context
        self._opened: tuple[bytes, Serialized] | None = None
        self._known: tuple[Known, int] | None = None

    def size(self, message: Serialized) -> int:
        """The bytes of a message and of its answer, as far as known before it is parsed."""
        self._opened = opened = self._path.envelope.open(message)
        self._known = known = None if opened is None else self._path.unary.recognise(opened[1])
        return len(message) + (0 if known is None else known[0].made_bytes)

    def begin(self, message: Serialized, hold: Hold) -> Awaitable[Answered]:
        """The answer to the message last passed to `size`."""
        began_ns = perf_counter_ns()
        opened, known = self._opened, self._known
        self._opened = self._known = None  # or a quiet stream would keep its last message in memory
        begun = None if opened is None or known is None else self._path.unary.begin(opened[1], *known)
        if opened is None or begun is None:
            return self._slowly(message, hold)
        name, (outputs, encode, requests), envelope = opened[0], begun, self._path.envelope

        def answered(outputs: Any) -> Answered:
            parts = envelope.close(name, encode(outputs))
            try:
                self._context.check_answer(sum(map(len, parts)))
            except MessageTooLarge as err:
                return failed(err)
            return parts, requests, OK, began_ns

        def failed(err: Exception) -> Answered:
            return self._failed(name, err, began_ns, requests)

        return Soon(outputs, answered, failed)

    def refuse(self, _message: Serialized, err: DomainError) -> Awaitable[Answered]:
        """The answer to the message last passed to `size`, for which there is no room."""
        opened, known = self._opened, self._known
        self._opened = self._known = None  # they belong to the next message when this is awaited
        requests = self._path.method.requests if known is None else known[0].counted_in
        return self._refused(b"" if opened is None else opened[0], err, requests)

    async def _refused(self, name: bytes, err: DomainError, requests: Requests) -> Answered:
        return self._failed(name, err, perf_counter_ns(), requests)

    def _failed(self, name: bytes, err: Exception, began_ns: int, requests: Requests) -> Answered:
        one = self._context.of_one(self._context.hold)
        return self._path.envelope.failed(name, err, one), requests, one.code, began_ns

    async def _slowly(self, message: Serialized, hold: Hold) -> Answered:
        one, began_ns = self._context.of_one(hold), perf_counter_ns()
        parts = await self._path.answer(message, one)
        return parts, one.counted_in or self._path.method.requests, one.code, began_ns


def open_named(message: Serialized) -> tuple[bytes, Serialized] | None:
    """The parts of `{string id = 1; Message inner = 2;}`: the serialized id field, and the inner message.

    None if the message contains anything else, or another order.
    """
    try:
        start = 0
        if message[0] == ID_TAG:
            length, start = read_varint(message, 1)
            start += length
        name = bytes(message[:start])
        if message[start] != INNER_TAG or not name.isascii():
            return None
        length, content = read_varint(message, start + 1)
    except (IndexError, ValueError):
        return None
    return (name, memoryview(message)[content:]) if content + length == len(message) else None


def close_named(name: bytes, inner: Parts) -> Parts:
    """The inverse of `open_named`."""
    return (name, INNER_HEAD, varint(sum(map(len, inner))), *inner)
