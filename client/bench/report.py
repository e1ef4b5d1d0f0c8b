"""A measurement as tables, and as JSON."""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from vouch.client.bench.images import Reference
from vouch.client.bench.load import Load
from vouch.client.bench.measure import SEED
from vouch.client.bench.points import Measured, shown_ms
from vouch.client.bench.recommend import Recommendation
from vouch.client.settings import BenchSettings

WIDTH = 80
"""Width of the tables, in columns; also when standard output is not a terminal."""


def tables(measured: Measured) -> Iterator[Table]:
    """The tables of the closed loops and, if there are any, of the open loops."""
    yield _closed_table(measured)
    if measured.open:
        yield _open_table(measured)


def notes(measured: Measured, reference: Reference) -> Iterator[str]:
    """Remarks to the tables, a sentence or two each."""
    if not measured.complete:
        yield "The measurement was interrupted: these are its results until then."
    busiest = max((load.busy for load in measured.loads), default=0.0)
    yield (
        f"This process, which makes the calls, used up to {busiest:.2f} cores. If it runs on the server's machine, "
        "the server lacks them. From about 1 core on, this process may be the limit, not the server."
    )
    on_time = [point.load for point in measured.open if not point.load.fell_behind]
    if measured.open:
        yield (
            f"Random times: a Poisson process, seed {SEED}. Latency counts from when a call was due, whether or not "
            "earlier calls were answered. A call without an answer counts as slower than all others."
        )
    if on_time:
        latest = max(load.lateness_s for load in on_time) * 1000
        yield f"99 % of the calls were sent at most {shown_ms(latest)} ms late; their latency includes this delay."
    if len(on_time) < len(measured.open):
        yield "A row without latencies is not a result: this process could not send its calls on time."
    if reference.distinct == 1:
        yield (
            "All images have the same answer, so mixed-up answers would not be noticed. --data sends your own images."
        )


def as_json(
    settings: BenchSettings, reference: Reference, measured: Measured, recommendation: Recommendation
) -> dict[str, Any]:
    """The measurement as JSON values. Latencies in milliseconds, null if there is none."""
    best = recommendation.point
    return {
        "server": settings.server,
        "model": measured.model.name,
        "version": measured.model.version,
        "digest": measured.model.digest,
        "input_shape": list(measured.model.input_shape),
        "data": settings.data or "random pixels",
        "images": len(reference.images),
        "distinct_answers": reference.distinct,
        "seconds": settings.seconds,
        "timeout_s": settings.timeout_s,
        "seed": SEED,
        "complete": measured.complete,
        "wrong": measured.wrong or None,
        "closed": [
            {"batch_size": point.batch_size, "concurrency": point.concurrency, "images_per_s": point.images_per_s}
            | _load_as_json(point.load)
            for point in measured.closed
        ],
        "open": [
            {
                "batch_size": point.batch_size,
                "load": point.share,
                "due_calls_per_s": point.rate,
                "images_per_s": point.images_per_s,
            }
            | _load_as_json(point.load)
            | {"lateness_ms": point.load.lateness_s * 1000, "generator_fell_behind": point.load.fell_behind}
            for point in measured.open
        ],
        "slo_ms": recommendation.slo_ms,
        "recommended": best and {"batch_size": best.batch_size, "concurrency": best.concurrency},
        "recommendation": recommendation.sentence,
    }


def _load_as_json(load: Load) -> dict[str, Any]:
    latencies = {"p50_ms": load.p50_s, "p99_ms": load.p99_s, "p999_ms": load.p999_s}
    return {
        "calls": load.calls,
        "calls_per_s": load.calls_per_s,
        **{name: None if load.fell_behind or value is None else value * 1000 for name, value in latencies.items()},
        "errors": dict(load.errors),
        "wrong": load.wrong,
        "seconds": load.seconds,
        "generator_cores": load.busy,
    }


def _closed_table(measured: Measured) -> Table:
    """The row with the highest throughput of each batch size is bold."""
    headings = "images\nper call", "calls\nat once", "images/s", "calls/s", "p50\nms", "p99\nms"
    table = _table("Each caller waits for its answer", headings)
    best = [measured.best(batch_size) for batch_size in measured.batch_sizes]
    for point in measured.closed:
        load = point.load
        cells = (
            f"{point.batch_size:,}",
            f"{point.concurrency:,}",
            f"{point.images_per_s:,.0f}",
            f"{load.calls_per_s:,.0f}",
        )
        table.add_row(*cells, _ms(load.p50_s), _ms(load.p99_s), _failures(load), style="bold" if point in best else "")
    return table


def _open_table(measured: Measured) -> Table:
    headings = "images\nper call", "load", "calls/s\ndue", "p50\nms", "p99\nms", "p99.9\nms"
    table = _table("Calls are sent at random times", headings)
    for point in measured.open:
        load = point.load
        cells = f"{point.batch_size:,}", f"{point.share:.0%}", f"{point.rate:,.0f}"
        if load.fell_behind:
            late = f"sent up to {shown_ms(load.lateness_s * 1000)} ms late: not a result"
            table.add_row(*cells, "-", "-", "-", "\n".join(filter(None, (late, _failures(load)))))
        else:
            table.add_row(*cells, _ms(load.p50_s), _ms(load.p99_s), _ms(load.p999_s), _failures(load))
    return table


def _table(title: str, headings: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, width=WIDTH)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("without an answer, or wrong", ratio=1)
    return table


def _failures(load: Load) -> str:
    wrong = [f"{load.wrong:,} WRONG"] if load.wrong else []
    return "\n".join([*(f"{count:,} {reason}" for reason, count in load.errors.items()), *wrong])


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else shown_ms(seconds * 1000)
