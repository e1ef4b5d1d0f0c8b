"""Ctrl-C and SIGTERM end a command in the same way: after the first it cleans up, a second ends it immediately."""

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
"""Signals within this time count as one: `timeout` sends two, and torchrun repeats those of the terminal."""


_FINISHING: ContextVar[bool] = ContextVar("_FINISHING")


_POSTPONED: ContextVar[list[KeyboardInterrupt] | None] = ContextVar("_POSTPONED")


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends everything that Ctrl-C ends."""


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block, a first SIGINT raises KeyboardInterrupt and a first SIGTERM raises Terminated. A second signal ends
    the process, even in C code. A signal that the process ignored from its start stays ignored.
    """
    if current_thread() is not main_thread():  # Python handles signals only in the main thread
        yield
        return
    stopping = False

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal stopping
        if not stopping and not _FINISHING.get(False):  # cleaning up is not interrupted again
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
    """Ignores a first signal in the block, which is short: it is too late to stop."""
    token = _FINISHING.set(True)
    try:
        yield
    finally:
        _FINISHING.reset(token)


@contextmanager
def postponing() -> Iterator[Callable[[], KeyboardInterrupt | None]]:
    """Delays a first signal in the block: the block raises it at a suitable point, or it is raised at the block's end.

    Yields:
        a function that returns the delayed exception, or None.
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
    """Reads the number of each signal when it arrives, independently of the main thread."""
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
    """Processes started in the block ignore Ctrl-C and SIGTERM, which a terminal sends to all processes of a group: the
    process that the user started ends the others. They inherit the blocked signals, so they ignore them from the start.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Ends this process of multiprocessing when its parent has ended, for whatever reason."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        while parent.is_alive():
            parent.join(60)
        os._exit(1)

    Thread(target=wait, daemon=True).start()
