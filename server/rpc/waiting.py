"""What ends a wait within a call early: the deadline, a caller who leaves, a server that drains."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from vouch.server.errors import DeadlineExpired
from vouch.server.serving.gate import Gate

T = TypeVar("T")
WATCHED_AFTER_S = 0.1
"""Seconds that a call waits before the server checks whether its caller is still connected."""


class CallerLeft(Exception):
    """The caller has cancelled the call, or has disconnected."""


class until:  # noqa: N801 - reads as one: `async with until(deadline, left)`
    """Cancels the awaits in its block, and raises DeadlineExpired when the deadline passes, or CallerLeft when the
    caller has left. A TimeoutError raised in the block passes through.

    The block runs in the current task, which is cancelled; a task per call would cost more than reading and writing the
    call. The caller is watched only after the call has waited for a while: most calls are answered before.
    """

    __slots__ = ("_cancelling", "_deadline", "_ended_by", "_leaving", "_left", "_task", "_timers")

    def __init__(self, deadline: float | None, left: Callable[[], Awaitable[None]] | None = None) -> None:
        """
        Args:
            deadline: in the event loop's time.
            left: returns when the caller has left; None if the transport cancels the task then, or if reading notices
                it.
        """
        self._deadline, self._left = deadline, left
        self._timers = list[asyncio.TimerHandle]()
        self._leaving: asyncio.Future[None] | None = None
        self._ended_by: type[DeadlineExpired | CallerLeft] | None = None

    async def __aenter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        if self._deadline is not None:
            self._timers.append(loop.call_at(self._deadline, self._expire))
        if self._left is not None:
            self._timers.append(loop.call_later(WATCHED_AFTER_S, self._watch, self._left))

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, _: object) -> None:
        for timer in self._timers:
            timer.cancel()
        leaving, self._leaving = self._leaving, None
        if leaving is not None and not leaving.done():
            leaving.cancel()
            await asyncio.wait((leaving,))
        if self._ended_by is None or self._task.uncancel() > self._cancelling or kind is not asyncio.CancelledError:
            return
        if self._ended_by is CallerLeft:
            raise CallerLeft from err
        raise DeadlineExpired("the deadline passed before the answer was ready") from err

    def _expire(self) -> None:
        self._end(DeadlineExpired)

    def _watch(self, left: Callable[[], Awaitable[None]]) -> None:
        self._leaving = asyncio.ensure_future(left())
        self._leaving.add_done_callback(self._has_left)

    def _has_left(self, leaving: "asyncio.Future[None]") -> None:
        """Called when the watch ends in any way: it does not end while the caller is connected."""
        if not leaving.cancelled():
            leaving.exception()  # or asyncio would log it
        if leaving is self._leaving:
            self._end(CallerLeft)

    def _end(self, by: type[DeadlineExpired | CallerLeft]) -> None:
        if self._ended_by is None:
            self._ended_by = by
            self._task.cancel()


async def until_closing(pieces: AsyncIterator[T], gate: Gate) -> AsyncGenerator[T, None]:
    """The pieces; waiting for the next one does not delay a drain.

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
            del piece  # or a quiet stream would keep it in memory
    raise gate.closed_error()
