"""What a process and those it started have taken, and the server that is measured."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.contenders import free_port
from benchmarks.serving.processes import family, process_memory_mb

READY_WITHIN_S = 500.0
ENDED_WITHIN_S = 1200.0
"""For one command: as long as a point may take."""
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
Figures = dict[str, float]


def of_vouch(*words: str) -> tuple[dict[str, Any], Figures]:
    """The JSON of a command, and its seconds, its processor seconds and the most resident memory of its largest
    process, in 2^20 bytes: of all that this process has waited for, of which the largest counts.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "vouch", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=ENDED_WITHIN_S)
    after, seconds = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result, {"seconds": seconds, "processor_s": spent, "memory_mb": after.ru_maxrss / 1024}


@dataclass(frozen=True)
class Server:
    """`vouch serve` with one worker, ready."""

    pid: int
    port: int
    metrics_port: int

    @property
    def worker(self) -> int:
        """The process number of its worker: the largest of those it has started."""
        return max(family(self.pid)[1:], key=lambda pid: process_memory_mb(pid, "Pss:"))

    def memory_mb(self) -> tuple[float, float]:
        """Proportional set size of supervisor and worker, in 2^20 bytes."""
        return process_memory_mb(self.pid, "Pss:"), process_memory_mb(self.worker, "Pss:")

    def processor_s(self) -> float:
        """Spent by all its processes so far, and by those that have ended."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in family(self.pid)]
        return sum(sum(map(int, stat[11:15])) for stat in stats) / TICKS_A_SECOND

    def scraped(self) -> bytes:
        """Its metrics."""
        return _get(f"http://127.0.0.1:{self.metrics_port}/metrics")


@contextmanager
def served(models: Path, count: int, *words: str) -> Iterator[Server]:
    """A server of these models that serves so many of them.

    Raises:
        TimeoutError: it never does.
    """
    port, metrics_port = free_port(), free_port()
    places = ("--port", str(port), "--metrics-port", str(metrics_port))
    command = [sys.executable, "-m", "vouch", "serve", str(models), *places, "--max-connections", "16384", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(process.pid, port, metrics_port)
    try:
        _wait_for(server, process, count)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()


def _wait_for(server: Server, process: "subprocess.Popen[bytes]", count: int) -> None:
    """Asks as little as may be: the server is starting on the same cores."""
    ends = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RuntimeError(f"vouch serve ended with {process.returncode}")
        try:
            lines = server.scraped().splitlines()
        except OSError:
            lines = []
        if sum(line.startswith(b"vouch_installs_total") and float(line.split()[1]) >= count for line in lines):
            return
        time.sleep(0.05 + count / 200)
    raise TimeoutError(f"vouch serve did not serve {count} models within {READY_WITHIN_S:g} s")


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310  # of this machine
        content: bytes = answer.read()
    return content
