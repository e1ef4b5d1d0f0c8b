"""For all benchmarks: runs a command of vouch, and describes the machine."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).resolve().parent.parent / "docs" / "measured"
"""Where the figures are kept that the documents quote."""

RUN_WITHIN_S = 7200.0
"""For one command; the longest is a training."""


def run_vouch(*words: str) -> dict[str, Any]:
    """A command's JSON."""
    command = [sys.executable, "-m", "vouch", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=RUN_WITHIN_S)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def machine() -> str:
    """Processor, cores and Python, in a line."""
    return f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


@dataclass(frozen=True)
class Clock:
    """Time that passed, and processor time that was spent since it was started: by us, and by others on the machine."""

    began: float
    ours: float
    all: float

    @classmethod
    def started(cls) -> "Clock":
        """Now."""
        return cls(time.perf_counter(), _spent_here(), _spent_on_machine())

    def seconds(self) -> float:
        """That passed since."""
        return time.perf_counter() - self.began

    def processor_seconds(self) -> float:
        """Spent since by this process and the children that it has waited for."""
        return _spent_here() - self.ours

    def others(self) -> float:
        """Cores that others kept busy on average since: processes that are not ours, and other virtual machines."""
        spent = _spent_on_machine() - self.all - self.processor_seconds()
        return max(0.0, spent / max(self.seconds(), 1e-9))


def _spent_here() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _spent_on_machine() -> float:
    """Seconds of all cores that were neither idle nor waiting for a disk (proc(5): user, nice, system, idle, iowait,
    irq, softirq, steal; a guest's time is in user already).
    """
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


CODE = (".", ":(exclude)docs")
"""All but the docs, where figures are written while a run in pieces goes on."""


def commit(paths: Sequence[str]) -> str:
    """The last commit that changed any of these, short; with `+` behind it where they are changed since."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(MEASURED.parent.parent), *words, "--", *paths]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout.strip()

    return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")


def cpu_flags(wanted: Iterable[str]) -> list[str]:
    """Which of these instruction sets the processor has, as Linux calls them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    had = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    return [flag for flag in wanted if flag in had]


def cpu_name() -> str:
    """The processor, as Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def keep(name: str, figures: dict[str, Any]) -> None:
    """Writes figures where the documents find them."""
    MEASURED.mkdir(parents=True, exist_ok=True)
    (MEASURED / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
