"""Work that is done beside other work, in a thread of its own, on a core that would be idle."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import Generic, TypeVar

Result = TypeVar("Result")
Told = Callable[[int, int], None]
LOOK_S = 0.2
"""Seconds after which progress is looked at again."""


class _Abandoned(BaseException):
    """Nobody waits for the result any more."""


class Beside(Generic[Result]):
    """Work that may have begun already."""

    def __init__(self, work: Callable[[Told], Result]) -> None:
        """
        Args:
            work: is given what it tells its progress to: steps that are done, of how many.
        """
        self._work = work
        self._future: Future[Result] | None = None
        self._progress = 0, 1
        self._stop = Event()

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """In a thread."""
        self._future = pool.submit(self._work, self._note)

    def end(self) -> None:
        """After its next step."""
        self._stop.set()

    def result(self, on_step: Told) -> Result:
        """Waits for it, or does it now where it has not begun. Raises what the work does."""
        if self._future is None:
            return self._work(on_step)
        while not wait([self._future], LOOK_S).done:
            on_step(*self._progress)
        return self._future.result(0)

    def _note(self, done: int, of: int) -> None:
        self._progress = done, of
        if self._stop.is_set():
            raise _Abandoned


@contextmanager
def beside(work: Callable[[Told], Result], now: bool) -> Iterator[Beside[Result]]:
    """Begins the work, to be done while the block runs; if the block fails, the work ends too, after a step.

    Args:
        now: whether it is to begin; else it is done when its result is asked for.
    """
    found = Beside(work)
    if not now:
        yield found
        return
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        found.begin(pool)
        try:
            yield found
        except BaseException:
            found.end()
            raise
