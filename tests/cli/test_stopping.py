import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.programs import OURS, Program, run_beside, until
from vouch.cli.stopping import SIGNALS, Terminated, finishing, postponing, stoppable

CLEANS_UP = """
import os, signal, sys
from vouch.cli import stopping

stopping.ONE_WISH_S = 600
number = getattr(signal, sys.argv[1])
try:
    with stopping.stoppable():
        try:
            os.kill(os.getpid(), number)
        finally:
            for again in (signal.SIGINT, signal.SIGTERM):
                os.kill(os.getpid(), again)
            print("cleaned up")
except KeyboardInterrupt as err:
    print(type(err).__name__)
"""
IN_C = """
import hashlib
from vouch.cli import stopping

stopping.ONE_WISH_S = 0
with stopping.stoppable():
    while True:
        try:
            print("ready", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # hours, in which no handler of Python's runs
        except KeyboardInterrupt:
            pass  # it came just before
"""
WITH_OTHERS = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context
from vouch.cli.stopping import deaf_children, end_with_parent, stoppable

if __name__ == "__main__":
    with stoppable(), ProcessPoolExecutor(2, get_context("spawn"), initializer=end_with_parent) as pool:
        with deaf_children():
            work = [pool.submit(time.sleep, float(sys.argv[1])) for _ in range(2)]
        print(*(child.pid for child in active_children()), flush=True)
        for piece in work:
            piece.result()
"""


def is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def running(script: Path, *arguments: str) -> Iterator[Program]:
    """A script in a process group of its own, ended with all that it started."""
    with run_beside(sys.executable, str(script), *arguments, env=OURS, group=True) as process:
        yield process


@pytest.mark.parametrize(("name", "raised"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Terminated")])
def test_the_first_signal_cleans_up_undisturbed(tmp_path: Path, name: str, raised: str) -> None:
    """It is raised where the program is; more of them at the same moment, as `timeout` sends them, change nothing."""
    (tmp_path / "script.py").write_text(CLEANS_UP)

    with running(tmp_path / "script.py", name) as process:
        code = process.ended()

    assert (code, process.out.text, process.err.text) == (0, f"cleaned up\n{raised}\n", "")


def test_what_is_nearly_done_is_finished() -> None:
    """A first signal comes too late there, and the next one after it counts."""
    with stoppable():
        with finishing():
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_at_once(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Also where no line of Python would be run for hours."""
    (tmp_path / "script.py").write_text(IN_C)

    with running(tmp_path / "script.py") as process:
        process.out.line()

        def told() -> bool:
            process.tell(number)
            return process.has_ended

        until(told)
        assert process.ended() == code


def test_what_was_there_before_is_there_again() -> None:
    """Handlers are the caller's own again, and what was ignored, as by nohup, is ignored within too."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with stoppable():
        assert [signal.getsignal(number) for number in SIGNALS] != handlers
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_no_process_outlives_the_first_one(tmp_path: Path) -> None:
    """Killed outright, it can end nobody: the others notice."""
    (tmp_path / "script.py").write_text(WITH_OTHERS)

    with running(tmp_path / "script.py", "600") as process:
        others = [int(pid) for pid in process.out.line().split()]
        assert all(map(is_there, others))
        process.tell(signal.SIGKILL)

        until(lambda: not any(map(is_there, others)))
        assert len(others) == 2


def test_a_terminals_signal_is_for_the_first_process(tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM to all processes of a group: the others do their work to its end, and say nothing."""
    (tmp_path / "script.py").write_text(WITH_OTHERS)

    with running(tmp_path / "script.py", "1") as process:
        others = process.out.line().split()
        os.killpg(process.pid, signal.SIGINT)  # while they still start
        os.killpg(process.pid, signal.SIGTERM)
        code = process.ended()

    assert len(others) == 2
    assert code == -signal.SIGINT
    assert process.err.text.count("Traceback") == 1
    assert "BrokenProcessPool" not in process.err.text


def postponed(number: int, raise_it: bool) -> None:
    """A signal to this process waits in a block, which raises it or leaves that to its end."""
    with stoppable(), postponing() as interrupt:
        assert interrupt() is None
        os.kill(os.getpid(), number)
        wish = interrupt()
        assert wish is not None
        if raise_it:
            raise wish


@pytest.mark.parametrize("raise_it", [False, True])
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_postponed_signal_waits_for_a_good_moment(
    number: int, raised: type[KeyboardInterrupt], raise_it: bool
) -> None:
    """The block goes on, sees what waits, and raises it, or it is raised at the block's end."""
    with pytest.raises(KeyboardInterrupt) as caught:
        postponed(number, raise_it)

    assert type(caught.value) is raised
