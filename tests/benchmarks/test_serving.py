"""What `make benchmark` makes of its figures, and its generator of calls at random moments."""

import json
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

from benchmarks.serving.contenders import NotStarted, default_vouch, echo, free_port, running, vouch
from benchmarks.serving.h2load import SATURATED, SATURATED_HTTP1, WARM_UP_S, Loaded, framed, read, words
from benchmarks.serving.photographs import Side, load
from benchmarks.serving.poisson import Asked, moments, open_loop
from benchmarks.serving.questions import Question, Sampled
from benchmarks.serving.record import joined, wrong
from benchmarks.serving.report import tables
from benchmarks.serving.rows import PhotoRow, Row, problems

MESSAGE = b"m" * 800
FIGURES: dict[str, Any] = {"machine": "m", "flags": ["avx2"], "commit": "c", "peers": {"MLServer": "s"}}
FIGURES |= {"streams": [], "photographs": []}


def row(name: str, batch: int, speed: float, number: int = 0, load: str = "saturated") -> dict[str, Any]:
    """A load as it is kept."""
    return Row("linear", name, batch, number, load, speed, p50_ms=1.0, p99_ms=4.0, p999_ms=9.0).__dict__


def cells(table: str, name: str) -> list[str]:
    """Of the first row that begins with this name."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_ratios_are_to_tritons_best_at_each_batch() -> None:
    """The number of instances that is better counts, and a ratio is the median of the rounds'."""
    rows = [row("Vouch", 1, 300, number) for number in range(3)] + [row("Vouch", 32, 90, number) for number in range(3)]
    for number, speed in enumerate((100, 200, 150)):
        rows += [row("Triton, 2 instances", 1, speed, number), row("Triton, 2 instances", 32, 10, number)]
        rows += [row("Triton, 1 instance", 1, 10, number), row("Triton, 1 instance", 32, 45, number)]

    table = tables({**FIGURES, "rows": rows})

    assert cells(table, "Vouch / Triton's best") == ["2.00", "2.00"]
    assert cells(table, "*to reach of Triton's best*") == ["*2.5*", "*1.75*"]


def test_a_peer_that_answers_nothing_has_no_ratio() -> None:
    """Zero calls a second is no number to divide by."""
    table = tables({**FIGURES, "rows": [row("Vouch", 1, 300), row("MLServer", 1, 0)]})

    assert cells(table, "Vouch / MLServer") == ["no answer"]


def test_latency_is_said_beside_the_idle_servers() -> None:
    """p99 at 70 % over the idle p50."""
    rows = [row("Vouch", 1, 300, load=load) for load in ("most", "idle", "50%", "70%", "90%")]

    assert cells(tables({**FIGURES, "rows": rows}), "Vouch")[-1] == "4.0"


def test_a_run_in_pieces_is_one_of_the_same_commit(tmp_path: Path) -> None:
    """The later piece has the later rounds; another commit's figures are not mixed in."""
    figures = {**FIGURES, "rows": [row("Vouch", 1, 300)]}
    path = tmp_path / "serving.json"
    path.write_text(json.dumps(figures))

    assert [one["round"] for one in joined(path, figures)["rows"]] == [0, 1]
    with pytest.raises(SystemExit, match="another commit"):
        joined(path, {**figures, "commit": "d"})


@pytest.mark.parametrize(
    ("loaded", "sampled", "why"),
    [
        (Loaded(10, 1, 0, 1460, np.empty(0)), Sampled(1, 0, [], 146), ""),
        (Loaded(10, 1, 0, 700, np.empty(0)), Sampled(1, 0, [], 146), "answers of 70 bytes, expected 146"),
        (Loaded(10, 1, 0, 1752, np.empty(0)), Sampled(1, 0, [], 146), "answers of 175 bytes, expected 146"),
        (Loaded(10, 1, 0, 1752, np.empty(0), unfinished=2), Sampled(1, 0, [], 146), ""),
        (Loaded(10, 1, 3, 1460, np.empty(0)), Sampled(1, 0, [], 146), "3 calls failed"),
        (Loaded(10, 1, 0, 1460, np.empty(0)), Sampled(1, 1, [], 146), "1 wrong answers, 0 failed ones []"),
        (Loaded(10, 1, 0, 0, np.empty(0)), Sampled(), "no answer was seen to be right"),
        (Loaded(0, 1, 0, 0, np.empty(0)), Sampled(), ""),
    ],
)
def test_a_load_counts_only_with_right_answers(loaded: Loaded, sampled: Sampled, why: str) -> None:
    """Failed, wrong, and answers of another size; a server that is slow, or cut off by the clock, is not wrong."""
    assert problems(loaded, sampled) == why


def test_what_is_no_result_is_named() -> None:
    """Which load it was, and why."""
    bad = {**row("Vouch", 8, 1), "problems": "3 calls failed"}

    photo = PhotoRow("Vouch", 0, 40, 1.0, problems="2 of 9 labels are wrong").__dict__
    assert wrong({"rows": [bad], "streams": [], "photographs": [photo]}) == [
        "linear, Vouch, batch 8, saturated, round 1: 3 calls failed",
        "Vouch, photographs, round 1: 2 of 9 labels are wrong",
    ]


def test_photographs_are_said_beside_triton() -> None:
    """The median of the rounds' ratios."""
    rows = [PhotoRow("Vouch", number, 43, speed).__dict__ for number, speed in enumerate((60, 50, 40))]
    rows += [PhotoRow("Triton", number, 43, speed).__dict__ for number, speed in enumerate((40, 50, 10))]

    assert cells(tables({**FIGURES, "rows": [], "photographs": rows}), "Triton") == ["40.0", "0.0", "1.50"]


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


def test_a_part_that_there_is_not_is_wrong_usage() -> None:
    """The parts that there are are named."""
    words = [sys.executable, "-m", "benchmarks.serving", "--parts", "calls,stream"]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "'stream' is none of calls, streams, latency, photographs" in done.stderr


def test_answers_are_read_in_the_form_of_each_protocol() -> None:
    """Over HTTP/1.1 an answer is the probabilities' bytes; other labels, and half an answer, are wrong."""
    asked = Question(np.zeros((2, 1), np.uint8), MESSAGE, np.array([1, 0]))
    right = np.array([[0, 1], [1, 0]], np.float32)
    over_http = default_vouch().__class__("peer", lambda *_: [], path="/predict")

    assert asked.asked_of(over_http) == b"\0\0"
    assert asked.is_right(right.tobytes(), over_http)
    assert not asked.is_right(right[::-1].tobytes(), over_http)
    assert not asked.is_right(right[:1].tobytes()[:4], over_http)
    assert asked.is_right(MESSAGE, echo())


def test_vouch_is_started_with_nothing_set() -> None:
    """But where it listens; the others differ by transport and workers alone."""
    default = default_vouch().command(Path("models/mnist/1"), 1, Path())

    assert default[1:] == ["-m", "vouch", "serve", "models", "--port", "1"]
    assert vouch("grpcio", 2).command(Path("models/mnist/1"), 1, Path())[len(default) :] == [
        *("--transport", "grpcio", "--workers", "2")
    ]


def test_h2load_has_as_many_calls_at_once_over_either_protocol() -> None:
    """Over HTTP/1.1 each connection has one."""
    assert SATURATED.connections * SATURATED.streams == SATURATED_HTTP1.connections * SATURATED_HTTP1.streams
    assert "--h1" in words(SATURATED_HTTP1, Path("body"))
    assert not any("grpc" in word for word in words(SATURATED_HTTP1, Path("body")))


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


def test_a_server_that_ends_is_named_with_its_last_words(tmp_path: Path) -> None:
    """Not waited for."""
    fails = default_vouch().__class__("bad", lambda *_: ["sh", "-c", "echo no such model; exit 3"])

    said = "bad ended with 3 before it answered; it said: no such model"
    with pytest.raises(NotStarted, match=said), running(fails, tmp_path, MESSAGE):
        pytest.fail("it runs")
