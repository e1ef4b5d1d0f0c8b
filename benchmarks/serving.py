"""Speed of serving, beside the peers and the limits, in one run on the same cores.

    make benchmark          Vouch over h2corn and grpcio with 1 and 2 workers, Triton, MLServer, a bare grpcio echo with
                            and without a run of the model, and bare ONNX Runtime in process; a linear model and a cnn

Takes about an hour on two cores; `--quick` takes minutes and is no result. The servers take turns, round after round,
so that a busy minute of the machine meets all of them. The table goes to standard output, all figures to
docs/measured/serving.json, the plot to docs/measured/serving.svg. An answer counts only if it is right: answers are
sampled during every load, and all of them must have the right size.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import onnxruntime as ort

from benchmarks.contenders import INFER, Contender, Running, echo, peer, running, vouch
from benchmarks.h2load import ALONE, SATURATED, Load, Loaded, h2load, open_loop
from benchmarks.questions import Question, question, sampling
from benchmarks.runs import MEASURED, keep, machine, run_vouch
from benchmarks.serving_report import BARE, plot, tables
from vouch.bundle.opening import Bundle, open_bundle

BATCHES = (1, 8, 32, 128, 1024)
KINDS = ("linear", "cnn")
SHARES = (0.5, 0.7, 0.9)
"""Of the measured capacity, at which latency is measured in open loop."""
INSTALLED_WITHIN_S = 1800.0
"""The peers, where they are not installed yet."""


@dataclass(frozen=True)
class Row:
    """One load on one server."""

    kind: str
    contender: str
    batch: int
    round: int
    load: str
    """saturated, alone, or the share of capacity."""
    calls_a_second: float
    cpu_s_per_million_images: float
    memory_mb: float
    """Of all its processes, after the load."""
    largest_mb: float
    """Of the largest of its processes, before the load."""
    first_answer_s: float
    sampled: int
    problems: str
    """Why it is no result; empty where it is one."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None


def main() -> int:
    """Runs the whole; returns 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument(
        "--peers", type=Path, default=Path("../shared/tools/peers"), help="script that starts the peers"
    )
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--only", default="", help="contenders whose names have one of these words, by commas")
    parser.add_argument("--quick", action="store_true", help="one round of a second each, without the open loop")
    parser.add_argument("--name", default="serving", help="of the files in docs/measured")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 1.0
    batches = [int(batch) for batch in arguments.batches.split(",")]
    words = [word for word in arguments.only.split(",") if word]
    chosen = [one for one in contenders(arguments.peers) if not words or any(w in one.name for w in words)]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds.split(","):
            bundle = trained(kind, arguments.data, Path(folder))
            session = bare_session(bundle)
            asked = {batch: question(bundle, session, batch) for batch in batches}
            for number in range(arguments.rounds):
                rows += bare(kind, session, asked, number, arguments.seconds)
                for one in chosen:
                    rows += saturated(kind, one, bundle, asked, number, arguments.seconds)
            if not arguments.quick:
                for one in chosen:
                    rows += at_shares(kind, one, bundle, asked[batches[0]], rows, arguments.seconds)
    figures = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    keep(arguments.name, figures)
    print(tables(figures))
    (MEASURED / f"{arguments.name}.svg").write_text(plot(figures))
    return 1 if any(row.problems for row in rows) else 0


def contenders(peers: Path) -> list[Contender]:
    """Those that can be had here."""
    ours = [vouch(transport, workers) for transport in ("h2corn", "grpcio") for workers in (1, 2)]
    if not peers.exists():
        say(f"{peers} is not there: Triton and MLServer are left out")
        return [*ours, echo(), echo(with_model=True)]
    subprocess.run([str(peers), "install"], check=True, timeout=INSTALLED_WITHIN_S)  # no start of theirs waits for it
    return [
        *ours,
        peer(peers, "triton", "Triton, 2 instances", {"TRITON_INSTANCES": "2"}),
        peer(peers, "mlserver", "MLServer", {}),
        echo(),
        echo(with_model=True),
    ]


def trained(kind: str, data: str, folder: Path) -> Bundle:
    """A bundle of this kind; one epoch, because a graph is as fast with other weights."""
    models = folder / kind
    words = ("--data", data, "--models", str(models), "--model", kind, "--name", "mnist", "--epochs", "1")
    return open_bundle(Path(run_vouch("train", *words)["bundle"]))


def bare_session(bundle: Bundle) -> ort.InferenceSession:
    """The graph in ONNX Runtime, on all cores."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(bundle.read_model(), options, providers=["CPUExecutionProvider"])


def bare(
    kind: str, session: ort.InferenceSession, asked: dict[int, Question], number: int, seconds: float
) -> Iterator[Row]:
    """What the model alone takes, in process, one run after the other."""
    for batch, one in asked.items():
        runs, began, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() < began + seconds:
            session.run(None, {"images": one.images})
            runs += 1
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        yield Row(kind, BARE, batch, number, "saturated", runs / took, cpu / runs / batch * 1e6, 0, 0, 0, 0, "")


def saturated(
    kind: str, contender: Contender, bundle: Bundle, asked: dict[int, Question], number: int, seconds: float
) -> Iterator[Row]:
    """As many calls as it answers, batch size after batch size; then one caller alone."""
    first = next(iter(asked.values()))
    with running(contender, bundle.path, first.message) as server:
        for batch, one in asked.items():
            yield measured(kind, contender, server, (batch, one), number, ("saturated", SATURATED, seconds))
        batch = next(iter(asked))
        yield measured(kind, contender, server, (batch, first), number, ("alone", ALONE, seconds))


def at_shares(
    kind: str, contender: Contender, bundle: Bundle, one: Question, rows: list[Row], seconds: float
) -> Iterator[Row]:
    """Latency of calls that come at random moments, at shares of what it answered when saturated."""
    batch = len(one.labels)
    of_it = [row for row in rows if (row.kind, row.contender, row.batch) == (kind, contender.name, batch)]
    capacity = median(row.calls_a_second for row in of_it if row.load == "saturated")
    with running(contender, bundle.path, one.message) as server:
        for share in SHARES:
            rate = max(1.0, capacity * share)
            yield measured(kind, contender, server, (batch, one), 0, (f"{share:.0%}", rate, 3 * seconds))


def measured(
    kind: str,
    contender: Contender,
    server: Running,
    asked: tuple[int, Question],
    number: int,
    how: tuple[str, Load | float, float],
) -> Row:
    """One load on a running server, or so many calls a second, with answers sampled."""
    (batch, one), (name, load, seconds) = asked, how
    before, began = server.usage(), time.monotonic()
    with sampling(server.address, one, contender.echoes) as sampled:
        if isinstance(load, Load):
            loaded = h2load(server.address, INFER, (one.message,), load, seconds, log=name != "saturated")
        else:
            loaded = open_loop(server.address, INFER, one.message, load, seconds)
    after, took = server.usage(), time.monotonic() - began
    images = max(1.0, loaded.calls_a_second * took * batch)  # the warm-up took its share of the processor too
    p50, p99, p999 = (loaded.percentile_ms(q) if len(loaded.latencies_s) else None for q in (50, 99, 99.9))
    row = Row(
        *(kind, contender.name, batch, number, name, loaded.calls_a_second),
        *((after.cpu_s - before.cpu_s) / images * 1e6, after.memory_mb, before.largest_mb),
        *(server.first_answer_s, sampled.right),
        problems(
            loaded, None if isinstance(load, Load) else load, sampled.wrong, sampled.failures, sampled.answer_bytes
        ),
        *(p50, p99, p999),
    )
    say(f"{kind}, round {number + 1}, {row.contender}, batch {batch}, {name}: {row.calls_a_second:,.0f} {row.problems}")
    return row


def problems(loaded: Loaded, due_a_second: float | None, wrong: int, failures: list[str], answer_bytes: int) -> str:
    """Why this is no result; empty where it is one."""
    found = []
    if loaded.failed:
        found.append(f"{loaded.failed} calls failed")
    if wrong or failures:
        found.append(f"{wrong} wrong answers, {len(failures)} failed ones {sorted(set(failures))}")
    expected = loaded.calls * (answer_bytes + 5)
    if abs(loaded.data_bytes - expected) > 0.02 * expected:
        found.append(f"answers of {loaded.data_bytes / max(1, loaded.calls):,.0f} bytes, expected {answer_bytes + 5:,}")
    if due_a_second and loaded.calls_a_second < 0.9 * due_a_second:
        found.append(f"only {loaded.calls_a_second:,.0f} of {due_a_second:,.0f} calls a second were answered")
    return "; ".join(found)


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
