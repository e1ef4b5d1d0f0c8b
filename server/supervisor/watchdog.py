"""Distinguishes a worker that hangs from one that works, was stopped, or could not run because the machine slept."""

import os
from dataclasses import dataclass
from pathlib import Path

from vouch.server.supervisor.states import Limits

LOOK_INTERVAL_S = 1.0
BUSY_SHARE = 0.02
"""Share of a core from which a process counts as working; a busy machine may give it no more."""
ASLEEP_S = 2.0
"""If a check is this late, the supervisor itself did not run, and perhaps the worker did not either."""
STOPPED = ("T", "t")
"""States of a process stopped by a signal or a debugger, which is expected to continue it."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Vitals:
    """Of one process at one moment."""

    stopped: bool
    cpu_s: float
    """Processor time used by all its threads."""


def vitals(pid: int) -> Vitals | None:
    """None if the process has ended or has no /proc: https://man7.org/linux/man-pages/man5/proc.5.html"""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return Vitals(fields[0] in STOPPED, (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND)


class Watchdog:
    """Watches one process, which sends heartbeats."""

    def __init__(self, pid: int, now: float, limits: Limits) -> None:
        """
        Args:
            now: seconds of a monotonic clock, as everywhere in this file.
        """
        self._limits = limits
        self._pid = pid
        self._looked_at = self._heard_at = now
        self._worked_s = 0.0

    def heard(self, now: float) -> None:
        """A heartbeat has arrived."""
        self._heard_at = now

    def trouble(self, now: float) -> str:
        """What is wrong with it; empty while it responds, works, or is stopped. Call this every `LOOK_INTERVAL_S`."""
        if now - self._looked_at > LOOK_INTERVAL_S + ASLEEP_S:
            self._heard_at = now
        self._looked_at = now
        silent_s, found = now - self._heard_at, vitals(self._pid)
        if silent_s <= self._limits.silent_s:
            self._worked_s = found.cpu_s if found else 0.0
            return ""
        if silent_s <= self._limits.silent_s + self._limits.measured_s or (found is not None and found.stopped):
            return ""
        if found is None or found.cpu_s - self._worked_s < BUSY_SHARE * (silent_s - self._limits.silent_s):
            return f"sent no heartbeat for {silent_s:.0f} s"
        return f"was busy and sent no heartbeat for {silent_s:.0f} s" if silent_s > self._limits.busy_s else ""
