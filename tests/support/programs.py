"""Programs that tests start: what they write is read while they run, each wait has a limit, none outlives its test."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
VOUCH = (sys.executable, "-m", "vouch")
OURS = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
"""An environment in which a program finds this checkout, wherever it runs."""
WITHIN_S = 90.0
"""For anything that another process has to do; tests on a busy machine wait for long."""


class Written:
    """What comes out of one end of a program, as far as it has come; a thread reads it."""

    def __init__(self, end: int) -> None:
        """
        Args:
            end: a file descriptor, which this owns from now on.
        """
        self._end = end
        self._text = ""
        self._taken = 0
        self._has_ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """All of it until now."""
        return self._text

    def until(self, pattern: str) -> str:
        """Waits for what matches; returns what came from the end of the last such wait to the end of the match."""
        with self._news:
            came = self._news.wait_for(lambda: self._find(pattern) or self._has_ended, WITHIN_S)
            found = self._find(pattern)
            assert found, (
                f"{'it ended' if came else f'{WITHIN_S:g} s passed'} without {pattern!r}; it wrote {self.text}"
            )
            begin, self._taken = self._taken, found.end()
            return self._text[begin : self._taken]

    def line(self) -> str:
        """The next line."""
        return self.until(r"[^\n]*\n")

    def close(self) -> None:
        """Waits until nobody can write any more: neither the program nor any other that it has started."""
        self._reader.join(WITHIN_S)
        assert not self._reader.is_alive(), "a process that the program has started is still there"

    def _find(self, pattern: str) -> re.Match[str] | None:
        return re.compile(pattern).search(self._text, self._taken)

    def _read(self) -> None:
        decoder = getincrementaldecoder("utf-8")(errors="replace")
        while part := self._part():
            with self._news:
                self._text += decoder.decode(part)
                self._news.notify_all()
        os.close(self._end)
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _part(self) -> bytes:
        try:
            return os.read(self._end, 1 << 16)
        except OSError:  # how a terminal says that nobody is left to write
            return b""


class Program:
    """One that runs; `run_beside` makes it."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: Written, err: Written) -> None:
        self._process = process
        self.out = out
        self.err = err

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def tell(self, number: int) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def let_go(self) -> None:
        """Ends its standard input, which was held open."""
        assert self._process.stdin
        self._process.stdin.close()

    def ended(self) -> int:
        """Waits for its end, and for all that it wrote; returns its exit code."""
        code = self._process.wait(WITHIN_S)
        self.out.close()
        self.err.close()
        return code


@contextmanager
def run_beside(
    *command: str,
    env: Mapping[str, str] | None = None,
    shell: str = "",
    terminal: bool = False,
    held: bool = False,
    group: bool = False,
) -> Iterator[Program]:
    """A program that runs as long as the block does.

    Args:
        shell: how a shell redirects its standard streams.
        terminal: whether its standard error is one.
        held: whether its standard input is open and says nothing, until `let_go`; else it is empty.
        group: whether it leads a process group of its own, all of which is ended with it.
    """
    out, out_end = os.pipe()
    err, err_end = pty.openpty() if terminal else os.pipe()
    words = ["sh", "-c", f'exec "$@" {shell}', "sh", *command]
    stdin = subprocess.PIPE if held else subprocess.DEVNULL
    process = subprocess.Popen(words, env=env, stdin=stdin, stdout=out_end, stderr=err_end, start_new_session=group)
    os.close(out_end)
    os.close(err_end)
    program = Program(process, Written(out), Written(err))
    try:
        yield program
    finally:
        if group:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        program.ended()
        if process.stdin:
            process.stdin.close()


@contextmanager
def typing_to(*command: str, cwd: Path, env: Mapping[str, str]) -> Iterator[tuple[Written, Callable[[str], None]]]:
    """A program at a terminal of its own: what it shows there, and a function that types."""
    ours, theirs = pty.openpty()
    words = ["setsid", "--ctty", *command]
    process = subprocess.Popen(words, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = Written(ours)

    def typed(text: str) -> None:
        os.write(ours, text.encode())

    try:
        yield shown, typed
    finally:
        process.kill()
        process.wait(WITHIN_S)
        shown.close()


@contextmanager
def serving_beside(
    models: Path, *words: str, env: Mapping[str, str] | None = None, shell: str = ""
) -> Iterator[tuple[dict[str, str], Program]]:
    """`vouch serve` on free ports: where it listens, and its process."""
    command = (*VOUCH, "serve", str(models), "--port", "0", "--metrics-port", "0", "--json", *words)
    with run_beside(*command, env=env, shell=shell) as server:
        yield json.loads(server.out.line()), server


def until(ask: Callable[[], T], why: Callable[[], str] = lambda: "it did not come to be") -> T:
    """Asks again and again until the answer is true, for what another process has to do; returns that answer."""
    ends = time.monotonic() + WITHIN_S
    while not (answer := ask()):
        assert time.monotonic() < ends, why()
        time.sleep(0.05)
    return answer
