"""The generators of load of `make benchmark`: what they send, and what they make of the answers."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.serving.contenders import echo, free_port
from benchmarks.serving.h2load import SATURATED, SATURATED_HTTP1, WARM_UP_S, framed, read, words
from benchmarks.serving.photographs import Side, load
from benchmarks.serving.poisson import Asked, moments, open_loop
from benchmarks.serving.questions import Sampled
from benchmarks.serving.rows import problems

MESSAGE = b"m" * 800


def test_h2load_has_as_many_calls_at_once_over_either_protocol() -> None:
    """Over HTTP/1.1 each connection has one."""
    assert SATURATED.connections * SATURATED.streams == SATURATED_HTTP1.connections * SATURATED_HTTP1.streams
    assert "--h1" in words(SATURATED_HTTP1, Path("body"))
    assert "--header=a: b" in words(SATURATED_HTTP1, Path("body"), {"a": "b"})
    assert not any("grpc" in word for word in words(SATURATED_HTTP1, Path("body"), {}))


def test_what_h2load_says_is_read() -> None:
    """Errors with status 200 apart, an answer of another status has failed."""
    said = (
        "requests: 9 total, 9 started, 9 done, 7 succeeded, 2 failed, 0 errored, 0 timeout\n"
        "status codes: 7 2xx, 0 3xx, 2 4xx, 0 5xx\ntraffic: 1KB (1000) total, 1B (10) headers, 70B (70) data\n"
    )

    loaded = read(said, np.empty((0, 3), np.int64), 3, SATURATED)

    assert (loaded.calls, loaded.calls_a_second, loaded.failed, loaded.data_bytes) == (9, 0, 2, 70)


def test_speed_counts_what_is_answered_after_the_warm_up() -> None:
    """What was sent before and is answered after it counts; what is answered too late, or with an error, does not."""
    warm_up_us, said = (
        round(WARM_UP_S * 1e6),
        (
            "requests: 5 total, 5 started, 5 done, 5 succeeded, 0 failed, 0 errored, 0 timeout\n"
            "status codes: 5 2xx, 0 3xx, 0 4xx, 0 5xx\ntraffic: 1KB (1000) total, 1B (10) headers, 70B (70) data\n"
        ),
    )
    began = 1_700_000_000_000_000
    log = [
        (began, 200, 100),
        (began + 200, 200, warm_up_us),
        (began + warm_up_us, 200, 1_999_000),
        (began + warm_up_us, 503, 1_000),
        (began + warm_up_us, 200, 2_000_001),
    ]

    assert read(said, np.array(log), 2, SATURATED).calls_a_second == 1


def test_calls_are_due_at_random_moments() -> None:
    """The rate is what was asked for, the gaps are those of a Poisson process, and each seed has its own."""
    asked = Asked("", "", False, "", calls_a_second=1000, seconds=20)
    due = moments(asked)
    gaps = np.diff(due)

    assert due[-1] == pytest.approx(20 + WARM_UP_S, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert not np.array_equal(due, moments(Asked("", "", False, "", 1000, 20, seed=1)))


@contextmanager
def echoing() -> Iterator[str]:
    """A server of grpcio that answers each message with its bytes."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serving.echo", str(port)]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(60)


def test_the_generator_speaks_grpc(tmp_path: Path) -> None:
    """Every call is answered, by grpcio's own server, and its answer counted whole."""
    body = tmp_path / "body"
    body.write_bytes(framed([MESSAGE]))
    with echoing() as address:
        path = "/inference.GRPCInferenceService/ModelInfer"
        loaded = open_loop(Asked(address, path, False, str(body), calls_a_second=300, seconds=1), None)

    assert loaded.failed == 0
    assert loaded.calls > 200
    assert loaded.data_bytes == loaded.calls * (len(MESSAGE) + 5)
    assert 0 < loaded.percentile_ms(50) < 1000
    assert 0 < loaded.late_p99_ms < loaded.percentile_ms(99)


class Answering(BaseHTTPRequestHandler):
    """Answers each body with its length; every tenth with a status of 503."""

    protocol_version = "HTTP/1.1"
    calls = 0

    def do_POST(self) -> None:
        length = len(self.rfile.read(int(self.headers["content-length"])))
        Answering.calls += 1
        self.send_response(503 if Answering.calls % 10 == 0 else 200)
        self.send_header("content-length", "8")
        self.end_headers()
        self.wfile.write(length.to_bytes(8, "big"))

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def test_the_generator_speaks_http1(tmp_path: Path) -> None:
    """Answers that come are counted; those of another status have no bytes, so that the load is no result."""
    body = tmp_path / "body"
    body.write_bytes(MESSAGE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"127.0.0.1:{server.server_port}"
        loaded = open_loop(Asked(address, "/predict", True, str(body), calls_a_second=200, seconds=1), None)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)

    assert loaded.failed == 0
    assert loaded.calls > 100
    assert loaded.data_bytes == pytest.approx(8 * 0.9 * loaded.calls, rel=0.03)
    assert problems(loaded, Sampled(1, 0, [], 8)).startswith("answers of 7 bytes")


def test_answers_to_photographs_are_compared() -> None:
    """Each with the label of its own file."""
    side = Side(
        echo(), "/inference.GRPCInferenceService/ModelInfer", lambda _, file: file, label_of, lambda _, file: file
    )
    with echoing() as address:
        speed, done, others = load(address, side, [(b"ant", "ant"), (b"bee", "ant")], ["ant", "bee"], 0.3)

    assert speed > 0
    assert abs(2 * others - done) <= 1


def label_of(answer: bytes, _: Sequence[str]) -> str:
    """What an echo was sent."""
    return answer.decode()
