"""A server's throughput: 64 concurrent calls, each followed by the next, for each batch size."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import onnxruntime as ort

from benchmarks.serving.asking import INFER, Unanswered
from benchmarks.serving.contenders import STARTS, Contender, NotStarted, Running, running
from benchmarks.serving.forms import EXACT
from benchmarks.serving.h2load import GRPC, SATURATED, SATURATED_HTTP1, h2load
from benchmarks.serving.questions import Question, looked_at, sampling
from benchmarks.serving.rows import Row, problems, say
from vouch.bundle.opening import Bundle

BARE = "bare ONNX Runtime"
TURNS = 2
"""At least, of a load: how often bare ONNX Runtime would answer in it all calls that are under way at once."""
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


def lasting(alone: Iterable[Row], seconds: float) -> dict[int, float]:
    """Batch size -> seconds of a load: more where bare ONNX Runtime shows that calls are slow."""
    at_once = SATURATED.connections * SATURATED.streams
    return {row.batch: max(seconds, TURNS * at_once / row.calls_a_second) for row in alone}


def saturated(
    contender: Contender, bundle: Bundle, asked: Asked, place: tuple[str, int], seconds: dict[int, float]
) -> Iterator[Row]:
    """A row for each batch size. A server that ends under a load is started again, and the load is repeated.

    Args:
        place: the kind of model and the number of the round.
        seconds: of the load of each batch size.
    """
    left, problem = dict(asked), ""
    for start in range(1, STARTS + 1):
        try:
            for row in _of_one_start(contender, bundle, left, Row(*_blank(contender, place), starts=start), seconds):
                say(f"{place[0]}, round {place[1] + 1}, {row.contender}, batch {row.batch}: {_said(row)}")
                left.pop(row.batch)
                yield row
        except (RuntimeError, Unanswered) as err:
            problem = str(err)
            say(f"{place[0]}, round {place[1] + 1}, {contender.name}: {problem}")
        if not left:
            return
    yield Row(*_blank(contender, place, next(iter(left))), problem, starts=STARTS)


def _blank(contender: Contender, place: tuple[str, int], batch: int = 0) -> tuple[str, str, int, int, str, float]:
    return place[0], contender.name, batch, place[1], "saturated", 0.0


def _of_one_start(
    contender: Contender, bundle: Bundle, asked: Asked, blank: Row, seconds: dict[int, float]
) -> Iterator[Row]:
    """Rows until all are measured. Raises NotStarted where the server ended."""
    asked = dict(asked)
    with running(contender, bundle.path, next(iter(asked.values())).asked_of(contender)) as server:
        idle = server.usage()
        blank = replace(blank, idle_mb=idle.memory_mb, largest_mb=idle.largest_mb)
        for batch, one in asked.items():
            found = replace(blank, batch=batch, first_answer_s=server.first_answer_s)
            row = _measured(contender, server, one, found, seconds[batch])
            if (code := server.exit_code()) is not None:
                raise NotStarted(f"{contender.name} ended with {code} under a load of batch {batch}")
            yield row


def _measured(contender: Contender, server: Running, one: Question, blank: Row, seconds: float) -> Row:
    """One load, with answers sampled."""
    form = contender.form
    load, path, headers = (SATURATED_HTTP1, form.path, form.headers) if form else (SATURATED, INFER, GRPC)
    looked_at(server.address, one, contender)  # what is left of the load before is answered by then
    before = server.usage()
    with sampling(server.address, one, contender) as sampled:
        loaded = h2load(server.address, path, (one.asked_of(contender),), load, seconds, headers)
    after = server.usage()
    images = max(1, loaded.calls) * blank.batch
    return replace(
        blank,
        calls_a_second=loaded.calls_a_second,
        problems=problems(loaded, sampled, form.varies if form else EXACT),
        cpu_s_per_million_images=(after.cpu_s - before.cpu_s) / images * 1e6,
        memory_mb=after.memory_mb,
        sampled=sampled.right,
    )


def _said(row: Row) -> str:
    return f"{row.calls_a_second:,.0f} {row.problems}".strip()
