"""Latency of calls at random times: the server on one core, the generator on another, and nothing else.

First the highest rate on one core, with 64 concurrent calls. Then the rate that it keeps up with calls at random
times, which is lower if it batches concurrent calls. Loads are shares of the rate kept up; 2 % is idle.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.serving.asking import INFER, Unanswered
from benchmarks.serving.contenders import STARTS, Contender, Running, running
from benchmarks.serving.h2load import GRPC, SATURATED, SATURATED_HTTP1, Loaded, framed, h2load
from benchmarks.serving.poisson import Asked, open_loop
from benchmarks.serving.questions import Question, Sampled, looked_at
from benchmarks.serving.rows import Row, problems, say
from vouch.bundle.opening import Bundle

KEPT_UP = "kept up"
SHARES = {KEPT_UP: 1.0, "idle": 0.02, "50%": 0.5, "70%": 0.7, "90%": 0.9}
"""Of the most, what is kept up; of that, the others."""
LEAST_CALLS, LEAST_IDLE_CALLS = 300, 100
"""Of a load, however long that takes; of the idle server's, whose median alone is asked."""
LEAST_RATE = 5.0
"""Calls a second: a connection that has none for 5 s is closed by some servers."""


def placed() -> tuple[int, int] | None:
    """The server's core and the generator's; None where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else None


def at_shares(
    contender: Contender, bundle: Bundle, asked: Question, place: tuple[str, int], seconds: float
) -> Iterator[Row]:
    """The most, and a row for each share of it. A server that ends is started again, and all is repeated.

    Args:
        place: the kind of model and the number of the round.
    """
    cores = placed()
    blank = Row(place[0], contender.name, len(asked.labels), place[1], "most", 0.0)
    if cores is None:
        return
    problem = ""
    for start in range(1, STARTS + 1):
        try:
            with running(contender, bundle.path, asked.asked_of(contender), cores[0]) as server:
                blank = replace(blank, first_answer_s=server.first_answer_s, starts=start)
                yield from list(_loads(contender, server, asked, blank, seconds))
                return
        except (RuntimeError, Unanswered) as err:
            problem = str(err)
            say(f"{place[0]}, latency, {contender.name}: {problem}")
    yield replace(blank, problems=problem)


def _loads(contender: Contender, server: Running, asked: Question, blank: Row, seconds: float) -> Iterator[Row]:
    message, form, http1 = asked.asked_of(contender), contender.form, contender.form is not None
    path, headers = (form.path, form.headers) if form else (INFER, GRPC)
    _, cpu = placed() or (0, 0)
    load = replace(SATURATED_HTTP1 if http1 else SATURATED, cpu=cpu)
    most = h2load(server.address, path, (message,), load, seconds, headers)
    yield _row(blank, most, looked_at(server.address, asked, contender))
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(message if http1 else framed((message,)))
        kept_up = most.calls_a_second
        for name, share in SHARES.items():
            rate = max(LEAST_RATE, share * kept_up)
            lasting = max(seconds, (LEAST_IDLE_CALLS if name == "idle" else LEAST_CALLS) / rate)
            how = Asked(server.address, path, http1, str(body), rate, lasting, blank.round)
            loaded = open_loop(how, cpu)
            if name == KEPT_UP:
                kept_up = loaded.calls_a_second
            row = _row(replace(blank, load=name), loaded, looked_at(server.address, asked, contender))
            times = f"p50 {row.p50_ms:.2f}, p99 {row.p99_ms:.2f} ms, generator {row.late_p99_ms:.2f} ms late"
            say(f"{row.kind}, latency, {row.contender}, {name}: {times}")
            yield row


def _row(blank: Row, loaded: Loaded, sampled: Sampled) -> Row:
    p50, p99, p999 = (loaded.percentile_ms(q) if len(loaded.latencies_s) else None for q in (50, 99, 99.9))
    row = replace(blank, calls_a_second=loaded.calls_a_second, problems=problems(loaded, sampled))
    late_ms = loaded.late_p99_ms
    return replace(row, sampled=sampled.right, p50_ms=p50, p99_ms=p99, p999_ms=p999, late_p99_ms=late_ms)
