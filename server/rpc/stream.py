"""A stream of requests, several at work at once, answered in order: the one loop behind every streaming RPC."""

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
"""Requests of one stream at work at once; more are not read from it before answers have gone out."""
MAX_AT_WORK_BYTES = 4 << 20
"""The same of their bytes and their answers', so that a caller who does not read has few large requests computed, and
many small ones."""

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Work(Generic[Request, Response]):
    """How the requests of a stream are answered."""

    answer: Callable[[Request, Hold], Awaitable[Response]]
    """With what is held for this request alone, until its answer has gone out. What it raises ends the stream at that
    request's turn; an error that is one request's own affair has to come back as its answer. A `Soon` is awaited as it
    is, of anything else a task is made."""
    size: Callable[[Request], int] = lambda _: 0
    """The bytes of a request and of its answer, as far as they are known before it is begun."""
    refuse: Callable[[Request, DomainError], Awaitable[Response]] | None = None
    """The answer to a request for which the budget has no room; None: the error ends the stream."""


async def answer_pieces(
    pieces: AsyncIterator[Sequence[Request]], work: Work[Request, Response], gate: Gate, hold: Hold
) -> AsyncGenerator[list[Response], None]:
    """The answer to each request, in the requests' order; those that are there at the same time come together.

    Before a request is begun, its bytes and its answer's are taken from the budget. Where there is no room, it waits
    for answers of this stream to go out, or is refused if none is at work.

    Args:
        pieces: requests that have come together.
        hold: of the budget that all of it is taken from; each request has its own.

    Raises:
        Closed: the server drains; what was read is answered before.
        Exception: what `pieces` or `answer` raised, after the answers to what came before.

    Closing the generator, or cancelling the caller, cancels what is at work.
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
    """The requests of a stream that have been read, and what is at work of them."""

    def __init__(self, pieces: AsyncIterator[Sequence[Request]], work: Work[Request, Response], hold: Hold) -> None:
        self._pieces = pieces
        self._work = work
        self._hold = hold
        self._answers: deque[Awaitable[Response] | Exception | None] = deque()
        self._holds: deque[Hold] = deque()
        """Of the requests at work; the oldest first, also of those whose answers are on their way out."""
        self._bytes = 0
        """In these holds when they were begun."""
        self._sizes: deque[int] = deque()
        self._more, self._room = asyncio.Event(), asyncio.Event()

    async def read(self) -> None:
        """All requests; begins each when there is room for it."""
        end: Exception | None = None
        try:
            async for piece in self._pieces:
                for request in piece:
                    self._begin(request, await self._taken(request))
                    while len(self._sizes) >= STREAM_WINDOW or self._bytes >= MAX_AT_WORK_BYTES:
                        await self._wait_for_room()  # before more is read: unread answers hold back the stream
                    del request  # or a stream that is quiet would keep it
                del piece
        except Exception as err:
            end = err
        self.put(end)
        del end  # it leads back here: a circle, which would keep the last request until garbage is collected

    async def _taken(self, request: Request) -> Hold | DomainError:
        """What is held for a request, when there is room; why there is none where that would not change."""
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
                del taken  # likewise
        self.put(answer if isinstance(answer, Soon) else asyncio.ensure_future(answer))

    async def _wait_for_room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def put(self, answer: Awaitable[Response] | Exception | None) -> None:
        """What comes next: an answer, an error that ends the stream, or None, its end."""
        self._answers.append(answer)
        self._more.set()

    async def ready(self) -> list[Response] | None:
        """The next answer and those behind it that are there already; None at the end."""
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
            del first  # likewise
        while answers and (following := _there(answers[0])) is not None:
            ready.append(await following)
            answers.popleft()
        return ready

    def sent(self, count: int) -> None:
        """So many answers have gone out."""
        for _ in range(count):
            self._bytes -= self._sizes.popleft()
            self._holds.popleft().end()
        self._room.set()

    def end(self) -> None:
        """Cancels what is at work, and gives back what is held for it."""
        for unsent in self._answers:
            if isinstance(unsent, Soon | asyncio.Future):
                unsent.cancel()  # where it has failed already, this also tells asyncio not to log it as forgotten
        for hold in self._holds:
            hold.end()


async def answer_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Response]], gate: Gate
) -> AsyncGenerator[Response, None]:
    """As `answer_pieces`, for requests and answers one by one, of which none is counted."""
    work = Work[Request, Response](lambda request, _: answer(request))
    pieces = answer_pieces(((request,) async for request in requests), work, gate, Hold())
    try:
        async for ready in pieces:
            for response in ready:
                yield response
    finally:
        await pieces.aclose()


def _there(answer: Awaitable[Response] | Exception | None) -> Awaitable[Response] | None:
    """The answer, if it can be had without waiting and is no error."""
    if isinstance(answer, Soon):
        return answer if answer.succeeds() else None
    if isinstance(answer, asyncio.Future):
        return answer if has_succeeded(answer) else None
    return None
