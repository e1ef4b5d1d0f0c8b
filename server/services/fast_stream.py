"""The fast path of streams: each message of a stream answered as its unary method would be, in an envelope.

The messages that have come together are read together, so what is run on the event loop is run for all of them at once.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np
from google.protobuf.message import Message

from vouch.bundle.wire_format import read_varint, varint
from vouch.server.budget import Hold
from vouch.server.counting.statistics import Requests
from vouch.server.errors import DomainError
from vouch.server.model.request import Rows
from vouch.server.rpc.method import OK, CallContext, Method, Serialized
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.rpc.stream import Work, answer_pieces
from vouch.server.services.fast import FastPath, Plan
from vouch.server.serving.gate import Gate

ID_TAG = 1 << 3 | 2
INNER_TAG = 2 << 3 | 2
INNER_HEAD = bytes([INNER_TAG])


@dataclass(frozen=True)
class Envelope:
    """What a stream's messages have around those of the unary method."""

    open: Callable[[Serialized], tuple[bytes, Serialized] | None]
    """What identifies a request, and the unary request within; None where that is not plain to see."""
    close: Callable[[bytes, Parts], Parts]
    """(what identifies the request, the unary answer) -> the stream's answer."""
    failed: Callable[[bytes, Exception, CallContext], Parts]
    """(what identifies the request, why there is no answer, the stream's context) -> the stream's answer; or raises
    what ends the stream."""


class StreamPath:
    """Answers the serialized messages of streams of one method."""

    def __init__(
        self,
        fast: FastPath,
        envelope: Envelope,
        method: Method,
        answer: Callable[[Any, CallContext], Awaitable[Message]],
        gate: Gate,
    ) -> None:
        """
        Args:
            fast: of the unary method.
            method: the long way.
            answer: the long way of one message; what it raises ends the stream.
        """
        self._fast = fast
        self._envelope = envelope
        self._method = method
        self._answer = answer
        self._gate = gate

    def __call__(
        self, pieces: AsyncIterator[Sequence[Serialized]], context: CallContext
    ) -> AsyncGenerator[list[Parts], None]:
        """The answers, in the order of the messages; each is counted as a request."""
        stream = _Stream(self._fast, self._envelope, self._method, self._answer, context)
        work = Work(stream.answer, stream.size, stream.refuse)
        return answer_pieces(pieces, work, self._gate, context.hold)


class _Stream:
    """The messages of one stream. Each is looked at when its size is asked for, which is right before it is begun."""

    def __init__(
        self,
        fast: FastPath,
        envelope: Envelope,
        method: Method,
        answer: Callable[[Any, CallContext], Awaitable[Message]],
        context: CallContext,
    ) -> None:
        self._fast = fast
        self._envelope = envelope
        self._method = method
        self._answer = answer
        self._context = context
        self._opened: tuple[bytes, Serialized] | None = None
        self._read: tuple[Plan, np.ndarray] | None = None

    def size(self, message: Serialized) -> int:
        """Its bytes and its answer's, as far as they are known before it is decoded."""
        self._opened = opened = self._envelope.open(message)
        self._read = read = None if opened is None else self._fast.plan_and_images(opened[1])
        return len(message) + (0 if read is None else read[0].answer_bytes)

    def answer(self, message: Serialized, hold: Hold) -> Awaitable[Parts]:
        """Of the message whose size was asked for last."""
        began_ns = perf_counter_ns()
        opened, read, envelope = self._opened, self._read, self._envelope
        self._opened = self._read = None  # or a stream that is quiet would keep its last message
        if opened is None or read is None:
            return self._slowly(message, hold)
        name, (plan, images) = opened[0], read
        if (outputs := plan.served.batcher.run_soon(images)) is None:
            return self._slowly(message, hold)

        def answered(rows: Rows) -> Parts:
            parts = envelope.close(name, plan.encode(rows))
            plan.served.statistics.requests.add(self._method.path, OK, perf_counter_ns() - began_ns)
            return parts

        def failed(err: Exception) -> Parts:
            return self._failed(name, err, began_ns, plan.served.statistics.requests)

        return Soon(outputs, answered, failed)

    async def refuse(self, message: Serialized, err: DomainError) -> Parts:
        """The answer to one for which there is no room."""
        opened, read = self._opened, self._read
        self._opened = self._read = None
        if opened is None:
            raise err
        return self._failed(opened[0], err, perf_counter_ns(), read and read[0].served.statistics.requests)

    def _failed(self, name: bytes, err: Exception, began_ns: int, counted_in: Requests | None) -> Parts:
        one = self._context.of_one()
        one.counted_in = counted_in
        parts = self._envelope.failed(name, err, one)
        self._method.count(one.code, began_ns, one)
        return parts

    async def _slowly(self, message: Serialized, hold: Hold) -> Parts:
        one, began_ns = self._context.of_one(hold), perf_counter_ns()
        response = await self._answer(self._method.decode(message), one)
        self._method.count(one.code, began_ns, one)
        return (response.SerializeToString(),)


def open_named(message: Serialized) -> tuple[bytes, Serialized] | None:
    """The parts of `{string id = 1; Message inner = 2;}`: the id's field as it stands there, and the inner message.

    None where there is anything else, or these in another order.
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
    """The same the other way round."""
    return (name, INNER_HEAD, varint(sum(map(len, inner))), *inner)
