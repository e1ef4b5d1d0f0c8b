"""A stream of requests, several in progress at a time, answered in order: the loop of every streaming RPC."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vouch.server.budget import FREE_BYTES, Hold
from vouch.server.errors import DomainError
from vouch.server.rpc.soon import Soon, has_succeeded
from vouch.server.serving.gate import Gate

STREAM_WINDOW = 64
"""Requests of one stream in progress at a time; no more are read before answers are sent."""
MAX_AT_WORK_BYTES = 4 << 20
"""The same limit for the bytes of requests and answers, so that for a caller who does not read, only a few large
requests are computed."""

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Work(Generic[Request, Response]):
    """How the requests of a stream are answered."""

    answer: Callable[[Request, Hold], Awaitable[Response]]
    """(request, its own hold, which ends when the answer is sent) -> the answer. An error that it raises ends the
    stream when that answer is due; an error of one request only must be returned as its answer. A `Soon` is awaited
    directly; anything else becomes a task."""
    size: Callable[[Request], int] = lambda _: 0
    """The bytes of a request and of its answer, as far as known before it begins."""
    refuse: Callable[[Request, DomainError], Awaitable[Response]] | None = None
    """The answer to a request for which the budget has no room; None: the error ends the stream."""


async def answer_pieces(
    pieces: AsyncIterator[Sequence[Request]], work: Work[Request, Response], gate: Gate, hold: Hold
) -> AsyncGenerator[list[Response], None]:
    """The answer to each request, in the requests' order; answers ready at the same time come together.

    Before a request begins, its bytes and its answer's are taken from the budget. If there is no room, it waits until
    answers of this stream are sent, or is refused if none is in progress.

    Args:
        pieces: groups of requests that arrived together.
        hold: a hold on the budget; each request gets another one on the same budget.

    Raises:
        Closed: the server drains; requests read so far are answered first.
        Exception: what `pieces` or `answer` raised, after the answers to earlier requests.

    Closing the generator, or cancelling the caller, cancels the requests in progress.
    """
    reading = _Reading(pieces, work, hold)

    def stop_reading() -> None:
        reader.cancel()
        reading.put(gate.closed_error())

    reader = asyncio.get_running_loop().create_task(reading.read())
    try:
        with gate.when_closing(stop_reading):
            while (ready := await reading.ready()) is not None:
                yield ready
                reading.sent(len(ready))
    finally:
        reader.cancel()
        reading.end()


class _Reading(Generic[Request, Response]):
    """The requests of a stream that have been read, and those in progress."""

    def __init__(self, pieces: AsyncIterator[Sequence[Request]], work: Work[Request, Response], hold: Hold) -> None:
        self._pieces = pieces
        self._work = work
        self._hold = hold
        self._answers: deque[Awaitable[Response] | Exception | None] = deque()
        self._holds: deque[Hold] = deque()
        """Holds of the requests in progress, the oldest first, including those whose answers are being sent."""
        self._bytes = 0
        """Bytes in these holds when their requests began."""
        self._sizes: deque[int] = deque()
        self._more, self._room = asyncio.Event(), asyncio.Event()

    async def read(self) -> None:
        """Reads all requests, and begins each when there is room for it."""
        end: Exception | None = None
        try:
            async for piece in self._pieces:
                for request in piece:
                    self._begin(request, await self._taken(request))
                    while len(self._sizes) >= STREAM_WINDOW or self._bytes >= MAX_AT_WORK_BYTES:
                        await self._wait_for_room()  # before more is read: unread answers must stop the stream
                    del request  # or a quiet stream would keep it in memory
                del piece
        except Exception as err:
            end = err
        self.put(end)
        del end  # it refers to this frame: a cycle, which would keep the last request until garbage collection

    async def _taken(self, request: Request) -> Hold | DomainError:
        """Waits for room, and returns a request's hold; the error if there will be no room."""
        hold = self._hold.another()
        while (size := self._work.size(request)) > FREE_BYTES:
            if not self._sizes:
                try:
                    hold.take("answers", size)
                except DomainError as err:
                    return err
                break
            if self._bytes + size <= MAX_AT_WORK_BYTES and hold.takes("answers", size):
                break
            await self._wait_for_room()
        self._bytes += size
        self._sizes.append(size)
        self._holds.append(hold)
        return hold

    def _begin(self, request: Request, taken: Hold | DomainError) -> None:
        if isinstance(taken, Hold):
            answer = self._work.answer(request, taken)
        elif self._work.refuse is not None:
            answer = self._work.refuse(request, taken)
            self._sizes.append(0)
            self._holds.append(self._hold.another())
        else:
            try:
                raise taken
            finally:
                del taken  # it refers to this frame
        self.put(answer if isinstance(answer, Soon) else asyncio.ensure_future(answer))

    async def _wait_for_room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def put(self, answer: Awaitable[Response] | Exception | None) -> None:
        """Adds what comes next: an answer, an error that ends the stream, or None, its end."""
        self._answers.append(answer)
        self._more.set()

    async def ready(self) -> list[Response] | None:
        """The next answer and those after it that are ready; None at the end."""
        answers = self._answers
        while not answers:
            self._more.clear()
            await self._more.wait()
        first = answers.popleft()
        if first is None:
            return None
        try:
            if isinstance(first, Exception):
                raise first
            ready: list[Response] = [await first]
        finally:
            del first  # it may refer to this frame
        while answers and (following := _there(answers[0])) is not None:
            ready.append(await following)
            answers.popleft()
        return ready

    def sent(self, count: int) -> None:
        """This number of answers has been sent."""
        for _ in range(count):
            self._bytes -= self._sizes.popleft()
            self._holds.popleft().end()
        self._room.set()

    def end(self) -> None:
        """Cancels the requests in progress, and ends their holds."""
        for unsent in self._answers:
            if isinstance(unsent, Soon | asyncio.Future):
                unsent.cancel()  # if it has failed, this also stops asyncio from logging the error
        for hold in self._holds:
            hold.end()


async def answer_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Response]], gate: Gate
) -> AsyncGenerator[Response, None]:
    """As `answer_pieces`, for single requests and answers, which are not counted."""
    work = Work[Request, Response](lambda request, _: answer(request))
    pieces = answer_pieces(((request,) async for request in requests), work, gate, Hold())
    try:
        async for ready in pieces:
            for response in ready:
                yield response
    finally:
        await pieces.aclose()


def _there(answer: Awaitable[Response] | Exception | None) -> Awaitable[Response] | None:
    """The answer, if it is available without waiting and is no error."""
    if isinstance(answer, Soon):
        return answer if answer.succeeds() else None
    if isinstance(answer, asyncio.Future):
        return answer if has_succeeded(answer) else None
    return None
