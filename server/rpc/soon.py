"""Answers in parts, and answers that are available within a turn or two of the event loop."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Answer = TypeVar("Answer")
Parts = tuple[bytes | memoryview, ...]
"""A serialized message in parts, which the transport joins; the length of each is in bytes."""


def has_succeeded(future: "asyncio.Future[Any]") -> bool:
    """Whether it has a result."""
    return future.done() and not future.cancelled() and future.exception() is None


class Soon(Generic[Answer]):
    """An answer available within a turn or two of the event loop: too soon to watch the caller or a deadline."""

    __slots__ = ("_encode", "_failed", "_outputs")

    def __init__(
        self,
        outputs: "T | asyncio.Future[T]",
        encode: Callable[[T], Answer],
        failed: Callable[[Exception], Answer] | None = None,
    ) -> None:
        """
        Args:
            outputs: available already, or soon.
            failed: turns an error into an answer; None if the error is raised.
        """
        self._outputs = outputs
        self._encode = encode
        self._failed = failed

    def __await__(self) -> Generator[Any, None, Answer]:
        outputs = self._outputs
        if isinstance(outputs, asyncio.Future):
            try:
                outputs = yield from outputs
            except Exception as err:
                if self._failed is None:
                    raise
                return self._failed(err)
        return self._encode(outputs)

    def succeeds(self) -> bool:
        """Whether awaiting it takes no turn of the loop, and raises nothing."""
        return not isinstance(self._outputs, asyncio.Future) or has_succeeded(self._outputs)

    def cancel(self) -> None:
        """Cancels it: it is no longer needed."""
        if isinstance(self._outputs, asyncio.Future):
            self._outputs.cancel()
