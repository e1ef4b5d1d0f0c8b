"""h2load, the neutral load generator, and what it says. From Debian's nghttp2-client.

It sends one request over and over, and does not read the answers; that they are right is checked beside it.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WARM_UP_S = 1
HEADERS = ("content-type: application/grpc", "te: trailers")


@dataclass(frozen=True)
class Load:
    """How much is asked for at once, or how often."""

    connections: int
    streams: int
    """At once, a connection."""
    calls_a_second: float | None = None
    """Open loop: sent on time, whether or not earlier answers are back. None: a new call as soon as one is answered."""


SATURATED = Load(8, 8)
ALONE = Load(1, 1)


@dataclass(frozen=True, eq=False)
class Loaded:
    """What came of a load."""

    calls: int
    seconds: float
    failed: int
    """Not answered, or with an HTTP status other than 2xx."""
    data_bytes: int
    """Of all answers' messages; an answer that is an error has none."""
    latencies_s: np.ndarray
    """float64, one a call, sorted; empty unless they were asked for."""

    @property
    def calls_a_second(self) -> float:
        return self.calls / self.seconds

    def percentile_ms(self, q: float) -> float:
        """The latency that q percent of calls stay within."""
        return float(np.percentile(self.latencies_s, q) * 1000)


def h2load(address: str, path: str, messages: Sequence[bytes], load: Load, seconds: float, log: bool = False) -> Loaded:
    """Calls a method for some seconds.

    Args:
        messages: the serialized requests of one call.
        log: also keep every call's latency.

    Raises:
        RuntimeError: h2load failed; its output is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log_file = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages))
        command = ["h2load", "--threads=1", f"--clients={load.connections}", f"--max-concurrent-streams={load.streams}"]
        command += [f"--data={body}", *(f"--header={header}" for header in HEADERS)]
        if load.calls_a_second:
            command += [f"--rps={load.calls_a_second / load.connections:.3f}"]
        command.append(f"http://{address}{path}")
        _run([*command, f"--duration={WARM_UP_S}s"])
        output = _run([*command, f"--duration={round(seconds * 1000)}ms", *([f"--log-file={log_file}"] if log else [])])
        latencies = np.sort(np.loadtxt(log_file, ndmin=2, usecols=2)[:, 0] / 1e6) if log else np.empty(0)
    return read(output, seconds, latencies)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"h2load ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def read(output: str, seconds: float, latencies_s: np.ndarray) -> Loaded:
    """The figures in h2load's output."""
    done, failed, errored, timed_out = _numbers(
        r"requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        output,
    )
    (ok,) = _numbers(r"status codes: (\d+) 2xx", output)
    (data,) = _numbers(r"traffic: .*\((\d+)\) data", output)
    return Loaded(done, seconds, failed + errored + timed_out + max(0, done - failed - ok), data, latencies_s)


def _numbers(pattern: str, output: str) -> Sequence[int]:
    found = re.search(pattern, output)
    if not found:
        raise RuntimeError(f"h2load said something unexpected:\n{output}")
    return [int(number) for number in found.groups()]
