"""Known requests in streams: each message of a stream answered as its unary method would, in an envelope.

The messages that have come together are read together, so what is run on the event loop is run for all of them at once.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Any, NamedTuple

from vouch.bundle.wire_format import read_varint, varint
from vouch.server.counting.statistics import Requests
from vouch.server.errors import MessageTooLarge
from vouch.server.rpc.context import OK, CallContext
from vouch.server.rpc.method import Method, Serialized
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.rpc.stream import answer_pieces
from vouch.server.serving.gate import Gate

ID_TAG = 1 << 3 | 2
INNER_TAG = 2 << 3 | 2
INNER_HEAD = bytes([INNER_TAG])


class Begun(NamedTuple):
    """A known request at work."""

    outputs: "Any | asyncio.Future[Any]"
    """There already, or at the end of this turn of the event loop."""
    encode: Callable[[Any], Parts]
    counted_in: Requests


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


Answered = tuple[Parts, Requests, int, int]
"""An answer that has not gone out yet, and what is counted when it has: where, its code, and when it began (ns). A
plain tuple, because one is made for each message."""


class StreamPath:
    """Answers the serialized messages of streams of one method."""

    def __init__(
        self,
        begin: Callable[[Serialized], Begun | None],
        answer: Callable[[Serialized, CallContext], Awaitable[Parts]],
        envelope: Envelope,
        method: Method,
        gate: Gate,
    ) -> None:
        """
        Args:
            begin: a unary request; None where it is not known, or waiting in a queue is the better way.
            answer: any message of the stream; what it raises ends the stream.
            method: the stream's; its messages are counted there, and those of known requests where they say.
        """
        self._begin = begin
        self._answer = answer
        self._envelope = envelope
        self._method = method
        self._gate = gate

    async def __call__(
        self, pieces: AsyncIterator[Sequence[Serialized]], context: CallContext
    ) -> AsyncGenerator[list[Parts], None]:
        """The answers, in the order of the messages; each is counted as a request when the next ones are asked for, as
        it has gone out then.
        """
        async with aclosing(answer_pieces(pieces, partial(self._one, context=context), self._gate, len)) as answers:
            async for ready in answers:
                yield [parts for parts, _, _, _ in ready]
                now_ns = perf_counter_ns()
                for _, requests, code, began_ns in ready:
                    requests.add(self._method.path, code, now_ns - began_ns)

    def _one(self, message: Serialized, context: CallContext) -> Awaitable[Answered]:
        began_ns = perf_counter_ns()
        if (opened := self._envelope.open(message)) is None or (begun := self._begin(opened[1])) is None:
            return self._slowly(message, context)
        name, (outputs, encode, requests), envelope = opened[0], begun, self._envelope

        def answered(outputs: Any) -> Answered:
            parts = envelope.close(name, encode(outputs))
            try:
                context.check_answer(sum(map(len, parts)))
            except MessageTooLarge as err:
                return failed(err)
            return parts, requests, OK, began_ns

        def failed(err: Exception) -> Answered:
            one = context.of_one()
            return envelope.failed(name, err, one), requests, one.code, began_ns

        return Soon(outputs, answered, failed)

    async def _slowly(self, message: Serialized, context: CallContext) -> Answered:
        one, began_ns = context.of_one(), perf_counter_ns()
        parts = await self._answer(message, one)
        return parts, one.counted_in or self._method.requests, one.code, began_ns


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
