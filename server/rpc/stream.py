"""A stream of requests, several at work at once, answered in order: the one loop behind every streaming RPC."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from vouch.server.rpc.soon import Soon, has_succeeded
from vouch.server.serving.gate import Gate

STREAM_WINDOW = 64
"""Requests of one stream at work at once; more are not read from it before answers have gone out."""
MAX_AT_WORK_BYTES = 2 << 20
"""The same of their bytes, so that a caller who does not read has few large requests computed, and many small ones."""

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answer_pieces(
    pieces: AsyncIterator[Sequence[Request]],
    answer: Callable[[Request], Awaitable[Response]],
    gate: Gate,
    size: Callable[[Request], int] = lambda _: 0,
) -> AsyncGenerator[list[Response], None]:
    """The answer to each request, in the requests' order; those that are there at the same time come together.

    Args:
        pieces: requests that have come together.
        answer: what it raises ends the stream at that request's turn; an error that is one request's own affair has to
            come back as its answer. A `Soon` is awaited as it is, of anything else a task is made.

    Raises:
        Closed: the server drains; what was read is answered before.
        Exception: what `pieces` or `answer` raised, after the answers to what came before.

    Closing the generator, or cancelling the caller, cancels what is at work.
    """
    answers: deque[Awaitable[Response] | Exception | None] = deque()
    more, room = asyncio.Event(), asyncio.Event()
    sizes: deque[int] = deque()
    """Of the requests at work."""
    at_work_bytes = 0

    def put(answer: Awaitable[Response] | Exception | None) -> None:
        answers.append(answer)
        more.set()

    async def read() -> None:
        nonlocal at_work_bytes
        end: Exception | None = None
        try:
            async for piece in pieces:
                for request in piece:
                    work = answer(request)
                    put(work if isinstance(work, Soon) else asyncio.ensure_future(work))
                    sizes.append(size(request))
                    at_work_bytes += sizes[-1]
                    while (
                        len(sizes) >= STREAM_WINDOW or at_work_bytes >= MAX_AT_WORK_BYTES
                    ):  # before more is read: unread answers hold back the stream
                        room.clear()
                        await room.wait()
        except Exception as err:
            end = err
        put(end)

    def stop_reading() -> None:
        reader.cancel()
        put(gate.closed_error())

    reader = asyncio.get_running_loop().create_task(read())
    try:
        with gate.when_closing(stop_reading):
            while True:
                while not answers:
                    more.clear()
                    await more.wait()
                first = answers.popleft()
                if first is None:
                    return
                if isinstance(first, Exception):
                    raise first
                ready: list[Response] = [await first]
                while answers and (following := _there(answers[0])) is not None:
                    ready.append(await following)
                    answers.popleft()
                yield ready
                at_work_bytes -= sum(sizes.popleft() for _ in ready)
                room.set()
    finally:
        reader.cancel()
        for unsent in answers:
            if isinstance(unsent, Soon | asyncio.Future):
                unsent.cancel()  # where it has failed already, this also tells asyncio not to log it as forgotten


async def answer_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Response]], gate: Gate
) -> AsyncGenerator[Response, None]:
    """As `answer_pieces`, for requests and answers one by one."""
    pieces = answer_pieces(((request,) async for request in requests), answer, gate)
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
