"""Runs work in a second thread at the same time as other work, on a core that would be idle."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import Generic, TypeVar

Result = TypeVar("Result")
Told = Callable[[int, int], None]
LOOK_S = 0.2
"""Seconds between two reads of the progress."""


class _Abandoned(BaseException):
    """The result is no longer needed."""


class Beside(Generic[Result]):
    """Work that may have started already."""

    def __init__(self, work: Callable[[Told], Result]) -> None:
        """
        Args:
            work: gets a function that it calls with its progress: steps done, and steps in all.
        """
        self._work = work
        self._future: Future[Result] | None = None
        self._progress = 0, 1
        self._stop = Event()

    def begin(self, pool: ThreadPoolExecutor) -> None:
        """Starts the work in a thread."""
        self._future = pool.submit(self._work, self._note)

    def end(self) -> None:
        """Ends the work after its next step."""
        self._stop.set()

    def result(self, on_step: Told) -> Result:
        """Waits for the result, or does the work now if it was not started. Raises the work's exceptions."""
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
    """Runs the work while the block runs; if the block fails, the work ends too, after a step.

    Args:
        now: whether to start it now; otherwise it runs when its result is requested.
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
