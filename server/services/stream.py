"""A stream of requests, several at work at once, answered in order: the one loop behind every streaming RPC."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from server.gate import Gate

STREAM_WINDOW = 32
"""Requests of one stream at work at once; more are not read from it before an answer has gone out."""

Request = TypeVar("Request")
Response = TypeVar("Response")


async def answer_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Response]], gate: Gate
) -> AsyncGenerator[Response, None]:
    """The answer to each request, in the requests' order.

    Args:
        answer: what it raises ends the stream at that request's turn; an error that is one request's own affair has to
            come back as its answer.

    Raises:
        Closed: the server drains; what was read is answered before.
        Exception: what `requests` or `answer` raised, after the answers to what came before.

    Closing the generator, or cancelling the caller, cancels what is at work.
    """
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(STREAM_WINDOW)  # taken before a request is read: unread answers hold back the stream
    answers: asyncio.Queue[asyncio.Task[Response] | Exception | None] = asyncio.Queue()

    async def give(request: Request) -> Response:
        return await answer(request)

    async def read() -> None:
        end: Exception | None = None
        try:
            await places.acquire()
            async for request in requests:
                answers.put_nowait(loop.create_task(give(request)))
                await places.acquire()
        except Exception as err:
            end = err
        answers.put_nowait(end)

    def stop_reading() -> None:
        reader.cancel()
        answers.put_nowait(gate.closed_error())

    reader = loop.create_task(read())
    try:
        with gate.when_closing(stop_reading):
            while (next_answer := await answers.get()) is not None:
                if isinstance(next_answer, Exception):
                    raise next_answer
                yield await next_answer
                places.release()
    finally:
        reader.cancel()
        while not answers.empty():
            if isinstance(unsent := answers.get_nowait(), asyncio.Task):
                unsent.cancel()  # where it has failed already, this also tells asyncio not to log it as forgotten
