"""As many calls as a server answers: 64 at once, each followed by the next, batch size after batch size."""

import time
from collections.abc import Iterator
from dataclasses import replace

import onnxruntime as ort

from benchmarks.serving.asking import INFER, Unanswered
from benchmarks.serving.contenders import Contender, Running, running
from benchmarks.serving.h2load import SATURATED, SATURATED_HTTP1, h2load
from benchmarks.serving.questions import Question, sampling
from benchmarks.serving.rows import Row, problems, say
from vouch.bundle.opening import Bundle

BARE = "bare ONNX Runtime"
Asked = dict[int, Question]
"""Images of a call -> the call."""


def bare(kind: str, session: ort.InferenceSession, asked: Asked, number: int, seconds: float) -> Iterator[Row]:
    """What the model alone takes, in process on all cores, one run after the other."""
    for batch, one in asked.items():
        runs, began, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() < began + seconds:
            session.run(None, {"images": one.images})
            runs += 1
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        yield Row(kind, BARE, batch, number, "saturated", runs / took, "", cpu / runs / batch * 1e6)


def saturated(
    contender: Contender, bundle: Bundle, asked: Asked, place: tuple[str, int], seconds: float
) -> Iterator[Row]:
    """A row for each batch size, of one start of the server.

    Args:
        place: the kind of model and the number of the round.
    """
    kind, number = place
    first = next(iter(asked.values()))
    blank = Row(kind, contender.name, 0, number, "saturated", 0.0)
    try:
        with running(contender, bundle.path, first.asked_of(contender)) as server:
            idle = server.usage()
            blank = replace(blank, idle_mb=idle.memory_mb, largest_mb=idle.largest_mb)
            blank = replace(blank, first_answer_s=server.first_answer_s)
            for batch, one in asked.items():
                row = _measured(contender, server, one, replace(blank, batch=batch), seconds)
                say(f"{kind}, round {number + 1}, {row.contender}, batch {batch}: {_said(row)}")
                yield row
    except (RuntimeError, Unanswered) as err:
        say(f"{kind}, round {number + 1}, {contender.name}: {err}")
        yield replace(blank, batch=next(iter(asked)), problems=str(err))


def _measured(contender: Contender, server: Running, one: Question, blank: Row, seconds: float) -> Row:
    """One load, with answers sampled."""
    load, path = (SATURATED_HTTP1, contender.path) if contender.path else (SATURATED, INFER)
    before, began = server.usage(), time.monotonic()
    with sampling(server.address, one, contender) as sampled:
        loaded = h2load(server.address, path, (one.asked_of(contender),), load, seconds)
    after, took = server.usage(), time.monotonic() - began
    images = max(1.0, loaded.calls_a_second * took * blank.batch)  # the warm-up took its share of the processor too
    return replace(
        blank,
        calls_a_second=loaded.calls_a_second,
        problems=problems(loaded, sampled),
        cpu_s_per_million_images=(after.cpu_s - before.cpu_s) / images * 1e6,
        memory_mb=after.memory_mb,
        sampled=sampled.right,
    )


def _said(row: Row) -> str:
    return f"{row.calls_a_second:,.0f} {row.problems}".strip()
