"""The one data path: images and wishes in, a prediction out, as the parts of an answer.

All steps of a prediction are here: find the version and lease it, count the request, admit its memory, decode its
images, run them, compute the wishes, write the answer. A service only translates its messages to and from this path.
Work that grows with images times classes leaves the event loop.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import Message

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.counting.statistics import Requests
from vouch.server.errors import DomainError
from vouch.server.model.request import Rows
from vouch.server.model.session import Outputs
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.fast import KnownRequests, Span
from vouch.server.rpc.fast_stream import Begun
from vouch.server.rpc.method import Serialized
from vouch.server.rpc.soon import Parts, Soon
from vouch.server.services.cost import VALUE_BYTES, AnswerSize, check_answer, check_rows
from vouch.server.services.images import Images
from vouch.server.services.prediction import Prediction, Wishes, Write, pieces, predict
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served

MAX_INLINE_S = 2e-3
"""Computing the wishes and writing the answer leave the event loop if they take longer than this."""
COPY_S = 5e-10
"""Seconds per byte to join the parts of an answer, on today's machines."""


@dataclass(frozen=True)
class Writing:
    """How an answer is written."""

    write: Write
    size: AnswerSize
    seconds: float
    """Approximate time to write it."""


@dataclass(frozen=True, eq=False)
class Plan:
    """All that is known of a request before its images are decoded. Belongs to one served version."""

    served: Served
    shape: tuple[int, ...]
    """Shape of its images."""
    wishes: Wishes
    write: Write
    made_bytes: int
    """Most bytes of the model's values and the answer."""
    inline: bool
    """Whether the answer is written on the event loop."""
    repeats: bool
    """Whether requests that differ only in their pixels have the same plan."""

    @property
    def counted_in(self) -> Requests:
        """Where its requests are counted."""
        return self.served.statistics.requests

    def parts(self, rows: Rows) -> Parts:
        """The answer, computed from the model's values immediately."""
        return self.write((predict(rows, self.wishes),))


def take(plan: Plan, hold: Hold) -> None:
    """Takes the memory for a call's answer from the budget, before it is allocated; small answers are free.

    Raises:
        InvalidRequest, Overloaded: the budget has no room for it, ever or now.
    """
    if plan.made_bytes > FREE_BYTES:
        hold.cover("answers", plan.made_bytes)


class Predictor:
    """Predictions of all served versions."""

    def __init__(
        self,
        catalog: Catalog,
        decode: Callable[..., Awaitable[np.ndarray]],
        max_request_images: int,
        max_answer_bytes: int,
    ) -> None:
        """
        Args:
            decode: files to images, as `Decoder.decode`.
            max_answer_bytes: limit of one serialized answer.
        """
        self.catalog = catalog
        self.decode = decode
        self.max_request_images = max_request_images
        self.max_answer_bytes = max_answer_bytes
        self._writing = asyncio.Semaphore(1)

    def find(self, name: str, version: int, context: CallContext) -> Served:
        """The version that answers; from now on the request is counted there.

        Raises:
            UnknownModel, NotReady: as `Catalog.find`.
        """
        served = self.catalog.find(name, version)
        context.counted_in = served.statistics.requests
        return served

    def plan(self, served: Served, images: Images, wishes: Wishes, writing: Writing, repeats: bool = True) -> Plan:
        """The plan of a request. Computes and allocates nothing for it.

        Args:
            repeats: False if the answer contains something of this request only, such as an id.

        Raises:
            InvalidRequest: the answer, or the model's values, can never fit.
        """
        count, classes = images.count, len(served.bundle.manifest.labels)
        rows_bytes = len(Outputs._fields) * count * classes * VALUE_BYTES
        check_answer(count, writing.size, self.max_answer_bytes)
        check_rows(count, classes, rows_bytes, self.max_answer_bytes)
        answer_bytes = min(writing.size.most, self.max_answer_bytes)
        return Plan(
            served,
            (count, *served.bundle.manifest.input.shape),
            wishes,
            writing.write,
            rows_bytes + answer_bytes,
            inline=wishes.seconds(count, classes) + writing.seconds + COPY_S * answer_bytes <= MAX_INLINE_S,
            repeats=repeats and images.in_place,
        )

    async def answer(self, plan: Plan, load: Callable[[Hold], Awaitable[np.ndarray]], context: CallContext) -> Parts:
        """The answer. Its memory counts in the budget until the call ends.

        Raises:
            InvalidRequest, Overloaded: the budget has no room for it, ever or now.
            DomainError: as `load` and `Batcher.submit`.
        """
        with plan.served.lease():
            take(plan, context.hold)
            rows = await plan.served.batcher.submit(await load(context.hold), context.deadline, context.hold.bytes)
            return plan.parts(rows) if plan.inline else await self._written_apart(plan, rows)

    async def _written_apart(self, plan: Plan, rows: Rows) -> Parts:
        """Writes in a thread, one answer at a time: more would only take interpreter time from the event loop."""
        left = threading.Event()

        def until_left() -> Iterator[Prediction]:
            for piece in pieces(rows, plan.wishes):
                if left.is_set():
                    return
                yield piece

        async with self._writing:
            try:
                return (await asyncio.to_thread(lambda: _joined(plan.write(until_left()))),)
            finally:
                left.set()


class UnaryPath:
    """Turns one method's serialized requests into serialized answers: known requests are not parsed again."""

    def __init__(
        self,
        predictor: Predictor,
        find_pixels: Callable[[Serialized], Span | None],
        read: Callable[[Serialized], tuple[Any, Any]],
        ask: Callable[[Any, Any, CallContext], tuple[Plan, Images]],
    ) -> None:
        """
        Args:
            find_pixels: finds the raw pixels in a request; None if that is not certain.
            read: parses a message; also returns values left out of it, which protobuf would read one by one or copy.
            ask: the plan of a parsed request.
        """
        self._predictor = predictor
        self._read = read
        self._ask = ask
        catalog = predictor.catalog
        self.known = KnownRequests(find_pixels, self._plan, lambda: catalog.generation)

    def __call__(self, request: Serialized, context: CallContext) -> Parts | Awaitable[Parts]:
        """The answer or a `Soon` if the model is fast enough, else an awaitable."""
        found = self.known.recognise(request)
        if found is None:
            return self._slowly(request, context)
        plan, at = found
        context.counted_in = plan.counted_in
        images = np.ndarray(plan.shape, np.uint8, request, at)
        if plan.inline:
            take(plan, context.hold)
            rows = plan.served.batcher.run_inline(images, context.deadline)
            if isinstance(rows, tuple):
                return plan.parts(rows)
            if rows is not None:
                return Soon(rows, plan.parts)
        return self._predictor.answer(plan, _already(images), context)

    def recognise(self, request: Serialized) -> tuple[Plan, int] | None:
        """The plan of a known request, and where its pixels begin; None: it must be parsed."""
        return self.known.recognise(request)

    def begin(self, request: Serialized, known: Plan, at: int) -> Begun | None:
        """Starts a known request; None if it must be queued.

        Args:
            known, at: as returned by `recognise`.
        """
        if not known.inline:
            return None
        rows = known.served.batcher.run_inline(np.ndarray(known.shape, np.uint8, request, at))
        return None if rows is None else Begun(rows, known.parts, known.counted_in)

    async def answer(self, message: Any, left_out: Any, context: CallContext) -> Parts:
        """The answer to a parsed request."""
        plan, images = self._ask(message, left_out, context)
        return await self._predictor.answer(plan, images.load, context)

    async def _slowly(self, request: Serialized, context: CallContext) -> Parts:
        return await self.answer(*self._read(request), context)

    def _plan(self, request: Serialized) -> Plan | None:
        try:
            message, _ = self._read(request)
            if not isinstance(message, Message) or message.SerializeToString() != request:
                return None  # for example, a repeated field: the pixels found may not be all
            plan, _ = self._ask(message, None, CallContext())
        except DomainError:
            return None  # the slow path raises it again
        return plan if plan.repeats else None


def _already(images: np.ndarray) -> Callable[[Hold], Awaitable[np.ndarray]]:
    async def load(_: Hold) -> np.ndarray:
        return images

    return load


def _joined(parts: Parts) -> bytes:
    """Joins bytes objects only, which lets the interpreter switch threads in between."""
    return b"".join([part if isinstance(part, bytes) else part.tobytes() for part in parts])
