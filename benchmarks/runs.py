"""What every benchmark needs: to run a command of vouch, and to say on what machine it ran."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
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
