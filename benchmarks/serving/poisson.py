"""Calls at random times (a Poisson process), whether or not earlier answers have arrived: an open loop, on one core.

    python -m benchmarks.serving.poisson FILE       the load as JSON in the file; latencies go to FILE.npy

A call's latency counts from when it was due, so that waiting is included if the server falls behind. The generator
never sleeps: it needs a core of its own. Answers are checked only by their length.
"""

import gc
import json
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.serving.connections import Connection, Http1, Http2
from benchmarks.serving.contenders import on_cpu
from benchmarks.serving.h2load import WARM_UP_S, Loaded

CONNECTIONS = {True: 64, False: 8}
"""At most, over HTTP/1.1, where each takes a call at a time, and over HTTP/2; and no more than calls a second, since
servers close what is idle for some seconds.
"""
DRAINED_WITHIN_S = 10.0
FOUND = ("latencies", "sizes", "late", "seconds")
"""The names of the files with what `played` returns."""


@dataclass(frozen=True)
class Asked:
    """An open loop."""

    address: str
    path: str
    http1: bool
    message: str
    """A file with the request's body, gRPC's five bytes before the message included."""
    calls_a_second: float
    seconds: float
    seed: int = 0


def open_loop(asked: Asked, cpu: int | None) -> Loaded:
    """What came of it, in a process of its own that may use one core.

    Raises:
        RuntimeError: the server closed a connection, or broke the protocol; the generator's words are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "asked"
        file.write_text(json.dumps(asdict(asked)), "utf-8")
        words = [*on_cpu(cpu), sys.executable, "-m", "benchmarks.serving.poisson", str(file)]
        within_s = asked.seconds + 2 * DRAINED_WITHIN_S + 10
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False, timeout=within_s)
        if done.returncode:
            raise RuntimeError(f"the generator ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        latencies, sizes, late, seconds = (np.load(f"{file}.{name}.npy") for name in FOUND)
    answered = latencies[np.isfinite(latencies)]
    failed = int(len(latencies) - len(answered))
    speed, late_ms = len(answered) / float(seconds), float(np.percentile(late, 99) * 1000)
    return Loaded(len(answered), speed, failed, int(sizes.sum()), np.sort(answered), late_ms)


def played(asked: Asked) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Latencies in seconds (infinite where nothing came), sizes of the answers, how late the generator itself was with
    each call, and how long the load took.
    """
    body = Path(asked.message).read_bytes()
    due = moments(asked)
    host, _, port = asked.address.rpartition(":")
    kind = Http1 if asked.http1 else Http2
    count = min(CONNECTIONS[asked.http1], max(1, round(asked.calls_a_second)))
    sockets = [socket.create_connection((host, int(port)), 10) for _ in range(count)]
    connections = {one.fileno(): kind(one, asked.address, asked.path, body) for one in sockets}
    latencies, sizes, late = np.full(len(due), np.inf), np.zeros(len(due), np.int64), np.zeros(len(due))
    took_s = _play(connections, due.tolist(), (latencies, sizes, late))
    counted = due >= WARM_UP_S
    return latencies[counted], sizes[counted], late[counted], took_s - WARM_UP_S


def moments(asked: Asked) -> np.ndarray:
    """Seconds from the beginning at which calls are due, in order; the warm-up's are in front."""
    rng = np.random.default_rng(asked.seed)
    calls = max(2, round((asked.seconds + WARM_UP_S) * asked.calls_a_second))
    return rng.exponential(1 / asked.calls_a_second, calls).cumsum()


def _play(connections: Mapping[int, Connection], due: list[float], found: tuple[np.ndarray, ...]) -> float:
    """Fills in what is found for each call, as `played` returns it, and says how long all took."""
    latencies, sizes, late = found
    poll = select.epoll()
    for number in connections:
        poll.register(number, select.EPOLLIN)
    waiting, turn, sent, done = deque[int](), list(connections.values()), 0, 0
    clock, began = time.perf_counter, time.perf_counter()
    until, now = due[-1] + DRAINED_WITHIN_S, 0.0
    while done < len(due) and now < until:
        now = clock() - began
        while sent < len(due) and due[sent] <= now:
            late[sent] = now - due[sent]
            waiting.append(sent)
            sent += 1
        for _ in range(len(turn)):
            if not waiting:
                break
            turn.append(one := turn.pop(0))
            if one.has_room():
                one.ask(waiting.popleft())
        for one in turn:
            one.flush()
        for number, _ in poll.poll(0):
            for call, size in connections[number].answers():
                latencies[call], sizes[call] = clock() - began - due[call], size
                done += 1
    return now


if __name__ == "__main__":
    np.seterr(all="raise")
    gc.disable()
    found = played(Asked(**json.loads(Path(sys.argv[1]).read_text("utf-8"))))
    for name, value in zip(FOUND, found, strict=True):
        np.save(f"{sys.argv[1]}.{name}.npy", np.asarray(value))
