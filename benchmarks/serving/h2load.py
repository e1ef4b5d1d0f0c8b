"""h2load, the neutral load generator, and its output. From Debian's nghttp2-client.

It sends one request repeatedly, and does not read the answers; a separate client checks them.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.runs import RUN_WITHIN_S
from benchmarks.serving.contenders import on_cpu

WARM_UP_S = 0.5
"""Of each load, in front; what is under way at its end goes on, so that a slow batch does not count for nothing."""


@dataclass(frozen=True)
class Load:
    """How much is asked for at once: as soon as one call is answered, the next is sent."""

    connections: int
    streams: int
    """At once, a connection; 1 over HTTP/1.1."""
    http1: bool = False
    """HTTP/1.1 with the message as body, in place of gRPC."""
    cpu: int | None = None
    """The number of the one core that the generator may use."""


SATURATED, ALONE = Load(8, 8), Load(1, 1)
SATURATED_HTTP1, ALONE_HTTP1 = Load(64, 1, http1=True), Load(1, 1, http1=True)
"""As many calls at once."""
GRPC = {"content-type": "application/grpc", "te": "trailers"}


@dataclass(frozen=True, eq=False)
class Loaded:
    """What came of a load."""

    calls: int
    """Answered, from the beginning on."""
    calls_a_second: float
    """After the warm-up."""
    failed: int
    """Not answered, or with an HTTP status other than 2xx."""
    data_bytes: int
    """Of all answers' messages; an answer that is an error has none."""
    latencies_s: np.ndarray
    """From when each was sent, or was due in an open loop; float64, sorted; empty unless they were asked for."""
    late_p99_ms: float = 0.0
    """How late the generator of an open loop was with a call by itself."""
    unfinished: int = 0
    """At most so many more were under way when time was up, whose bytes may count."""

    def percentile_ms(self, q: float) -> float:
        """The latency that q percent of calls stay within."""
        return float(np.percentile(self.latencies_s, q) * 1000)


def h2load(
    address: str,
    path: str,
    messages: Sequence[bytes],
    load: Load,
    seconds: float,
    headers: Mapping[str, str] = GRPC,
) -> Loaded:
    """Calls a method for some seconds, after those of the warm-up.

    Args:
        messages: the serialized requests of one call; over HTTP/1.1 the one body.

    Raises:
        RuntimeError: h2load failed; its output is in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(b"".join(messages) if load.http1 else framed(messages))
        duration = f"--duration={round((WARM_UP_S + seconds) * 1000)}ms"
        output = _run([*words(load, body, headers), f"http://{address}{path}", duration, f"--log-file={log}"])
        return read(output, np.fromfile(log, np.int64, sep=" ").reshape(-1, 3), seconds, load)


def framed(messages: Sequence[bytes]) -> bytes:
    """As gRPC sends them: none compressed, each after its length."""
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)


def words(load: Load, body: Path, headers: Mapping[str, str] = GRPC) -> list[str]:
    """The command, but for where and how long."""
    command = [*on_cpu(load.cpu), "h2load", "--threads=1", f"--clients={load.connections}", f"--data={body}"]
    command += [f"--header={name}: {value}" for name, value in headers.items()]
    return [*command, "--h1" if load.http1 else f"--max-concurrent-streams={load.streams}"]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_WITHIN_S)
    if done.returncode:
        raise RuntimeError(f"h2load ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def read(output: str, log: np.ndarray, seconds: float, load: Load) -> Loaded:
    """The figures in h2load's output.

    Args:
        log: a row for each call: when it was sent, in microseconds; its status; how long it took, in microseconds.
        seconds: that count, after the warm-up.
    """
    done, failed, errored, timed_out = _numbers(
        r"requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout",
        output,
    )
    (ok,) = _numbers(r"status codes: (\d+) 2xx", output)
    (data,) = _numbers(r"traffic: .*\((\d+)\) data", output)
    answered_us = (log[:, 0] + log[:, 2])[log[:, 1] // 100 == 2] - log[:, 0].min(initial=np.iinfo(np.int64).max)
    counted = int(((answered_us > WARM_UP_S * 1e6) & (answered_us <= (WARM_UP_S + seconds) * 1e6)).sum())
    return Loaded(
        done,
        counted / seconds,
        failed + errored + timed_out + max(0, done - failed - ok),
        data,
        np.empty(0),
        load.connections * load.streams,
    )


def _numbers(pattern: str, output: str) -> Sequence[int]:
    found = re.search(pattern, output)
    if not found:
        raise RuntimeError(f"unexpected output of h2load:\n{output}")
    return [int(number) for number in found.groups()]
