"""A worker that hangs is told from one that works, was stopped, or could not run because nothing could."""

import signal
import sys
import time

from tests.support.programs import run_beside, until
from vouch.server.supervisor.states import Limits
from vouch.server.supervisor.watchdog import Watchdog, vitals

WAITS = "import time; time.sleep(600)"
WORKS = "while True: pass"


SHORT = Limits(silent_s=0.3, measured_s=1.0, busy_s=4.0)
"""A second is a hundredth, but for what is measured of processor time."""


def watched(watchdog: Watchdog, seconds: float) -> str:
    """What is wrong at the end of so long a time, or as soon as something is."""
    ends = time.monotonic() + seconds
    while not (trouble := watchdog.trouble(time.monotonic())) and time.monotonic() < ends:
        time.sleep(0.05)
    return trouble


def test_one_that_waits_without_a_word_hangs() -> None:
    """And one that speaks does not."""
    with run_beside(sys.executable, "-c", WAITS) as process:
        watchdog = Watchdog(process.pid, time.monotonic(), SHORT)

        assert watched(watchdog, 10).startswith("sent no heartbeat for ")
        watchdog.heard(time.monotonic())
        assert watchdog.trouble(time.monotonic()) == ""


def test_one_that_works_is_left_alone_for_longer() -> None:
    """A burst of load, or a large message: it will answer; and if it never does, it is ended all the same."""
    with run_beside(sys.executable, "-c", WORKS) as process:
        until(lambda: (found := vitals(process.pid)) and found.cpu_s > 0.1)
        watchdog = Watchdog(process.pid, time.monotonic(), SHORT)

        assert watched(watchdog, 3) == ""
        assert watched(watchdog, 20).startswith("was busy and sent no heartbeat for ")


def test_one_that_was_stopped_is_left_alone() -> None:
    """By SIGSTOP, or a debugger."""
    with run_beside(sys.executable, "-c", WAITS) as process:
        process.tell(signal.SIGSTOP)
        until(lambda: (found := vitals(process.pid)) and found.stopped)

        assert watched(Watchdog(process.pid, time.monotonic(), SHORT), 3) == ""
        process.tell(signal.SIGCONT)


def test_silence_in_which_nobody_listened_does_not_count() -> None:
    """A machine that stood still is no reason to end all workers."""
    with run_beside(sys.executable, "-c", WAITS) as process:
        watchdog = Watchdog(process.pid, 0.0, SHORT)

        assert watchdog.trouble(0.1) == ""
        assert watchdog.trouble(1000.0) == ""
        assert watchdog.trouble(1000.1) == ""


def test_a_process_that_is_gone_has_no_vitals() -> None:
    """Its number may be anybody's."""
    assert vitals(1 << 30) is None
