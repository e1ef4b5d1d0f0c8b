"""Tells a worker that hangs from one that works, was stopped, or could not run because nothing could."""

import os
from dataclasses import dataclass
from pathlib import Path

from vouch.server.supervisor.states import Limits

LOOK_INTERVAL_S = 1.0
BUSY_SHARE = 0.02
"""Of a core, from which on it works; on a busy machine it gets no more."""
ASLEEP_S = 2.0
"""Whoever looks so much too late has not been running itself, and the worker perhaps neither."""
STOPPED = ("T", "t")
"""By a signal, or by a debugger: whoever did that lets it go on again."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Vitals:
    """Of one process at one moment."""

    stopped: bool
    cpu_s: float
    """Processor time that it has used, of all of its threads."""


def vitals(pid: int) -> Vitals | None:
    """None where the process is gone, or the system does not tell: https://man7.org/linux/man-pages/man5/proc.5.html"""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Vitals(fields[0] in STOPPED, (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND)


class Watchdog:
    """Of one process, which gives signs of life."""

    def __init__(self, pid: int, now: float, limits: Limits) -> None:
        """
        Args:
            now: by a monotonic clock, in seconds, as everywhere here.
        """
        self._limits = limits
        self._pid = pid
        self._looked_at = self._heard_at = now
        self._worked_s = 0.0

    def heard(self, now: float) -> None:
        """It has given a sign of life."""
        self._heard_at = now

    def trouble(self, now: float) -> str:
        """What is wrong with it; empty while it answers, works, or was stopped. To be asked every `LOOK_INTERVAL_S`."""
        if now - self._looked_at > LOOK_INTERVAL_S + ASLEEP_S:
            self._heard_at = now  # silence begins anew
        self._looked_at = now
        silent_s, found = now - self._heard_at, vitals(self._pid)
        if silent_s <= self._limits.silent_s:
            self._worked_s = found.cpu_s if found else 0.0
            return ""
        if silent_s <= self._limits.silent_s + self._limits.measured_s or (found is not None and found.stopped):
            return ""
        if found is None or found.cpu_s - self._worked_s < BUSY_SHARE * (silent_s - self._limits.silent_s):
            return f"gave no sign of life for {silent_s:.0f} s"
        return f"was busy without an answer for {silent_s:.0f} s" if silent_s > self._limits.busy_s else ""
