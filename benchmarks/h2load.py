"""h2load, the neutral load generator, and what it says. From Debian's nghttp2-client.

It sends one request over and over, and does not read the answers; that they are right is checked beside it.
"""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.runs import RUN_WITHIN_S

WARM_UP_S = 1
HEADERS = ("content-type: application/grpc", "te: trailers")


@dataclass(frozen=True)
class Load:
    """How much is asked for at once: as soon as one call is answered, the next is sent."""

    connections: int
    streams: int
    """At once, a connection."""


MOST_STREAMS = 100
"""On a connection of an open loop, as gRPC's servers allow by default."""
LEAST_CALLS = 50
"""On each connection of an open loop."""
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
    """From when each was sent; float64, sorted; one a call but for those at the ends of an open loop; empty unless they
    were asked for."""

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
        body.write_bytes(_framed(messages))
        command = [*_command(load.connections, load.streams, body), f"http://{address}{path}"]
        _run([*command, f"--duration={WARM_UP_S}s"])
        output = _run([*command, f"--duration={round(seconds * 1000)}ms", *([f"--log-file={log_file}"] if log else [])])
        latencies = np.sort(np.loadtxt(log_file, ndmin=2, usecols=2)[:, 0] / 1e6) if log else np.empty(0)
    return read(output, seconds, latencies)


def open_loop(address: str, path: str, message: bytes, calls_a_second: float, seconds: float) -> Loaded:
    """Calls at random moments (a Poisson process), whether or not earlier answers are back.

    There is an h2load for each connection, with a script of moments of its own: one alone plays the same script on all
    its connections, eight calls at a time, and its own `--rps` sends ten milliseconds' calls at once. A moment comes a
    little late, and all that follow with it; by how much is found in a first second, and the scripts are shortened by
    it. How many calls a second it came to stands in the result. What was sent before all had begun, or after the first
    had ended, counts as calls and not as latencies.

    Raises:
        RuntimeError: h2load failed; its output is in the message.
    """
    gap_s = SATURATED.connections / calls_a_second
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(_framed([message]))

        def run(mean_gap_s: float, seconds: float, seed: int) -> tuple[list[str], list[np.ndarray], float]:
            rng, calls = np.random.default_rng(seed), max(LEAST_CALLS, round(seconds / gap_s))
            moments_s = rng.exponential(mean_gap_s, (SATURATED.connections, calls)).cumsum(axis=1)
            logs = [Path(folder) / f"log-{number}" for number in range(len(moments_s))]
            commands = []
            for log, its_moments_s in zip(logs, moments_s, strict=True):
                script = log.with_suffix(".script")
                script.write_text("".join(f"{one * 1000:.3f}\thttp://{address}{path}\n" for one in its_moments_s))
                log.unlink(missing_ok=True)
                command = _command(1, MOST_STREAMS, body)
                commands.append([*command, f"--timing-script-file={script}", f"--log-file={log}"])
            with ThreadPoolExecutor(len(commands)) as all_at_once:
                outputs = list(all_at_once.map(_run, commands))
            sent = [np.loadtxt(log, ndmin=2) for log in logs]  # when, its status, how long it took: microseconds
            took_s = np.array([np.ptp(one[:, 0]) for one in sent]) / 1e6
            return outputs, sent, float((took_s - np.ptp(moments_s, axis=1)).mean()) / (calls - 1)

        *_, late_s = run(gap_s, WARM_UP_S, seed=0)
        outputs, sent, _ = run(max(gap_s / 10, gap_s - max(0.0, late_s)), seconds, seed=1)
    began, ended = max(one[:, 0].min() for one in sent), min(one[:, 0].max() for one in sent)
    together = np.concatenate(sent)
    together = together[(together[:, 0] >= began) & (together[:, 0] <= ended)]
    parts = [read(output, 0, np.empty(0)) for output in outputs]
    calls = sum(part.calls for part in parts)
    return Loaded(
        *(calls, calls * (ended - began) / 1e6 / len(together)),
        *(sum(part.failed for part in parts), sum(part.data_bytes for part in parts)),
        np.sort(together[:, 2] / 1e6),
    )


def _framed(messages: Sequence[bytes]) -> bytes:
    """As gRPC sends them: none compressed, each after its length."""
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)


def _command(connections: int, streams: int, body: Path) -> list[str]:
    command = ["h2load", "--threads=1", f"--clients={connections}", f"--max-concurrent-streams={streams}"]
    return [*command, f"--data={body}", *(f"--header={header}" for header in HEADERS)]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_WITHIN_S)
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
