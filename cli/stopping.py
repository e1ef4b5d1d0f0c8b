"""Ctrl-C and SIGTERM end a command in the same way: the first lets it clean up, a second ends it at once."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing import parent_process
from threading import Thread, current_thread, main_thread
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ONE_WISH_S = 0.5
"""Signals so close together are one: `timeout` sends its own twice, and torchrun hands on what a terminal sent too."""


_FINISHING: ContextVar[bool] = ContextVar("_FINISHING")


_POSTPONED: ContextVar[list[KeyboardInterrupt] | None] = ContextVar("_POSTPONED")


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends whatever Ctrl-C would end."""


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block the first SIGINT raises KeyboardInterrupt, the first SIGTERM Terminated, and the second of either
    ends the process wherever it is, in C code too. A signal that the process was started without is left ignored.
    """
    if current_thread() is not main_thread():  # Python handles signals in the main one alone
        yield
        return
    stopping = False

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stopping
        if not stopping and not _FINISHING.get(False):  # what cleans up is not interrupted by the same wish
            stopping = True
            wish = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
            if (waiting := _POSTPONED.get(None)) is None:
                raise wish
            waiting.append(wish)

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    watcher = Thread(target=_end_at_the_second, args=(reading,), daemon=True)
    watcher.start()
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, stop)
        yield
    finally:
        stopping = True
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.close(writing)
        watcher.join(timeout=1.0)
        os.close(reading)


@contextmanager
def finishing() -> Iterator[None]:
    """The block, which is short, runs to its end: a first signal within it comes too late and is passed over."""
    token = _FINISHING.set(True)
    try:
        yield
    finally:
        _FINISHING.reset(token)


@contextmanager
def postponing() -> Iterator[Callable[[], KeyboardInterrupt | None]]:
    """A first signal in the block waits for a good moment: the block raises it there, or it is raised at its end.

    Yields:
        what waits, if anything does.
    """
    wishes: list[KeyboardInterrupt] = []
    token = _POSTPONED.set(wishes)
    try:
        yield lambda: wishes[0] if wishes else None
    finally:
        _POSTPONED.reset(token)
    if wishes:
        raise wishes[0]


def _end_at_the_second(reading: int) -> None:
    """Reads the number of every signal as it arrives, which needs nothing of the main thread."""
    first = None
    while number := os.read(reading, 1):
        if number[0] not in SIGNALS:
            continue
        now = time.monotonic()
        first = now if first is None else first
        if now - first > ONE_WISH_S:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a progress bar hides the cursor
            os._exit(128 + number[0])


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes started in the block get neither Ctrl-C nor SIGTERM, which reach all processes of a terminal or a
    group: the one that the user started ends the others. They inherit what is blocked, before their first line.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """For a process of multiprocessing: it ends as soon as its parent is gone, however that ended."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        while parent.is_alive():
            parent.join(60)
        os._exit(1)

    Thread(target=wait, daemon=True).start()
