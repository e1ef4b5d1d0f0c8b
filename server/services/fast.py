"""The fast path of the two methods that carry pixels: from a serialized request to a serialized answer.

Requests of a client differ in their pixels and in little else. What surrounds the pixels is read once, as a protobuf
message like any other, and then known again by its bytes; the pixels go from the message to the model without a copy,
and an answer is what surrounded the last one of its kind with new numbers in between. It answers as the slow path does,
byte for byte but for the order of fields; whatever it does not know is handed to that.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import Message

from vouch.bundle.wire_format import read_varint
from vouch.server.budget import FREE_BYTES
from vouch.server.errors import DomainError
from vouch.server.model.request import Rows
from vouch.server.rpc.method import CallContext, Method, Serialized
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.serving.catalog import Catalog, Served

MAX_KNOWN = 256
"""Kinds of request that are remembered; a client that never asks twice alike would fill any number."""
MAX_SURROUNDING_BYTES = 1024
OUTPUT_BYTES = 8
"""Of an image and a class: a probability and a logit."""
COPIES = 2
"""Of an answer: the outputs, and what is written."""
MAX_FIELDS = 16
"""Fields that are looked at for the pixels; a request has fewer, and one of millions would hold up the event loop."""


class Surrounded(NamedTuple):
    """Where the pixels of a request lie."""

    start: int
    stop: int


class Kind(NamedTuple):
    """Requests that differ in their pixels alone."""

    head: bytes
    """What stands before the pixels, their length included."""
    tail: bytes
    """What stands behind them."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All there is to know about a kind of request."""

    served: Served
    shape: tuple[int, ...]
    """Of the images."""
    encode: Callable[[Rows], Parts]
    """From the model's outputs to the answer."""

    @cached_property
    def answer_bytes(self) -> int:
        """Of the model's outputs, and of the answer made of them."""
        return self.shape[0] * len(self.served.bundle.manifest.labels) * OUTPUT_BYTES * COPIES


class FastPath:
    """Answers serialized requests of one method."""

    def __init__(
        self,
        catalog: Catalog,
        find_pixels: Callable[[Serialized], Surrounded | None],
        plan: Callable[[Any], Plan | None],
        method: Method,
    ) -> None:
        """
        Args:
            find_pixels: where they lie in a request; None where that is not plain to see.
            plan: what a request asks for, from the whole message; None where it has to go the long way, which also
                says what is wrong with it.
            method: the long way.
        """
        self._catalog = catalog
        self._find_pixels = find_pixels
        self._plan = plan
        self._method = method
        self._known: dict[Kind, Plan] = {}
        self._last: dict[int, tuple[Kind, Plan]] = {}
        """Length of a request -> the kind that was asked for last in so many bytes: most often it is the next one's."""
        self._generation = catalog.generation

    def __call__(self, request: Serialized, context: CallContext) -> Parts | Awaitable[Parts]:
        """The answer, where the model is that fast, or a `Soon`; else what has to be waited for."""
        read = self.plan_and_images(request)
        if read is None:
            return self._slowly(request, context)
        plan, images = read
        context.counted_in = plan.served.statistics.requests
        if plan.answer_bytes > FREE_BYTES:
            context.hold.cover("answers", plan.answer_bytes)
        outputs = plan.served.batcher.run_soon(images, context.deadline)
        if isinstance(outputs, tuple):
            return plan.encode(outputs)
        return Soon(outputs, plan.encode) if outputs is not None else _later(plan, images, context)

    def plan_and_images(self, request: Serialized) -> tuple[Plan, np.ndarray] | None:
        """What a request asks for; None where it has to go the long way."""
        if self._generation != self._catalog.generation:
            self._forget()
        last = self._last.get(len(request))
        if last is None or not _is_of(request, last[0]):
            last = self._recognised(request)
            if last is None:
                return None
            self._last[len(request)] = last
        kind, plan = last
        return plan, np.ndarray(plan.shape, np.uint8, request, len(kind.head))

    async def _slowly(self, request: Serialized, context: CallContext) -> Parts:
        response: Message = await self._method.function(self._method.decode(request), context)
        return (response.SerializeToString(),)

    def _recognised(self, request: Serialized) -> tuple[Kind, Plan] | None:
        found = self._find_pixels(request)
        if found is None or len(request) - (found.stop - found.start) > MAX_SURROUNDING_BYTES:
            return None
        kind = Kind(bytes(request[: found.start]), bytes(request[found.stop :]))
        plan = self._known.get(kind)
        if plan is None and (plan := self._read(request)) is not None:
            if len(self._known) >= MAX_KNOWN:
                self._forget()
            self._known[kind] = plan
        return None if plan is None else (kind, plan)

    def _forget(self) -> None:
        """All kinds: there are too many, or others answer them now."""
        self._known.clear()
        self._last.clear()
        self._generation = self._catalog.generation

    def _read(self, request: Serialized) -> Plan | None:
        try:
            message = self._method.decode(request)
            if message.SerializeToString() != request:
                return None  # a field that stands there twice, say: not all pixels need be those that were found
            return self._plan(message)
        except DomainError:
            return None  # the long way says it


def _is_of(request: Serialized, kind: Kind) -> bool:
    """Whether a request of the length that this kind has is of it."""
    head, tail = kind
    return request[: len(head)] == head and request[len(request) - len(tail) :] == tail


async def _later(plan: Plan, images: np.ndarray, context: CallContext) -> Parts:
    with plan.served.lease():
        return plan.encode(await plan.served.batcher.submit(images, context.deadline))


def find_field(message: Serialized, tag: int, start: int, stop: int) -> Surrounded | None:
    """The content of the first field with this tag among a few fields that have a length or are numbers; else None.

    Args:
        tag: of a field with a length: number << 3 | 2, below 128.
        start: of the fields.
        stop: their end.
    """
    try:
        for _ in range(MAX_FIELDS):
            if start >= stop:
                break
            found = message[start]
            if found & 7 == 0:
                _, start = read_varint(message, start + 1)
                continue
            if found & 7 != 2 or found > 0x7F:
                return None
            length, content = read_varint(message, start + 1)
            if content + length > stop:
                return None
            if found == tag:
                return Surrounded(content, content + length)
            start = content + length
    except (IndexError, ValueError):
        pass
    return None
