"""What ends a wait within a call before its time: the deadline, a caller who leaves, a server that drains."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from vouch.server.errors import DeadlineExpired
from vouch.server.serving.gate import Gate

T = TypeVar("T")


class CallerLeft(Exception):
    """The caller has cancelled the call, or its connection is gone."""


@asynccontextmanager
async def until(deadline: float | None) -> AsyncIterator[None]:
    """Raises DeadlineExpired when the caller's deadline passes; a TimeoutError from within is not that, and goes on."""
    timeout = asyncio.timeout_at(deadline)
    try:
        async with timeout:
            yield
    except TimeoutError as err:
        if not timeout.expired():
            raise
        raise DeadlineExpired("the deadline passed before there was an answer") from err


async def unless_left(awaitable: Awaitable[T], left: Callable[[], Awaitable[None]] | None) -> T:
    """What is awaited.

    Args:
        left: returns when the caller has left; None where the transport then cancels this task.

    Raises:
        CallerLeft: the caller left before; what was awaited is cancelled.
    """
    if left is None:
        return await awaitable
    work, leaving = asyncio.ensure_future(awaitable), asyncio.ensure_future(left())
    work.add_done_callback(_not_forgotten)
    try:
        await asyncio.wait((work, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise CallerLeft
    finally:
        waiting = [one for one in (work, leaving) if not one.done()]
        for one in waiting:
            one.cancel()
        if waiting:
            await asyncio.wait(waiting)
    try:
        return work.result()
    finally:  # its error leads back here: a circle, which would keep the request until garbage is collected
        del work, waiting, awaitable


async def until_closing(pieces: AsyncIterator[T], gate: Gate) -> AsyncGenerator[T, None]:
    """The pieces; a wait for the next one is no reason to hold up a drain.

    Raises:
        Closed: the gate has closed.
    """
    closing, waiting = False, False
    task: asyncio.Task[Any] | None = None

    def close() -> None:
        nonlocal closing
        closing = True
        if waiting and task is not None:
            task.cancel()

    with gate.when_closing(close):
        while not closing:
            task, waiting = asyncio.current_task(), True
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if not closing or task is None or task.uncancel():
                    raise
                break
            finally:
                waiting = False
            yield piece
            del piece  # or a stream that is quiet would keep it
    raise gate.closed_error()


def _not_forgotten(work: "asyncio.Future[Any]") -> None:
    """Or asyncio logs its error, where the caller left in the same moment."""
    if not work.cancelled():
        work.exception()
