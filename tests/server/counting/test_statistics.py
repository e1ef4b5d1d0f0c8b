import time
from copy import deepcopy
from dataclasses import replace

from vouch.server.counting.statistics import BatchDone, Span, Statistics


def test_runs_add_up_by_request_by_image_and_by_size() -> None:
    """Every request of a run took as long as the run; a run counts once under its size."""
    counts = Statistics()
    before = time.time_ns() // 1_000_000
    counts.add(BatchDone(images=8, waits_ns=(100, 150, 250), run_ns=100))
    counts.add(BatchDone(images=8, waits_ns=(20,), run_ns=50))
    counts.add(BatchDone(images=2, waits_ns=(), run_ns=7))

    assert counts.queue == Span(4, 520)
    assert counts.compute == Span(4, 350)
    assert counts.success == Span(4, 870)
    assert counts.fail == Span()
    assert counts.runs == {8: Span(2, 150), 2: Span(1, 7)}
    assert counts.images == 18
    assert before <= counts.last_run_ms <= time.time_ns() // 1_000_000


def test_a_failed_run_counts_as_failures_alone() -> None:
    """Nothing was computed for its requests."""
    counts = Statistics()
    counts.add(BatchDone(images=8, waits_ns=(10, 20), run_ns=10, failed=True))

    assert counts.fail == Span(2, 50)
    assert (counts.success, counts.queue, counts.compute) == (Span(), Span(), Span())
    assert (counts.runs, counts.images) == ({}, 0)


def test_what_several_counted_of_a_version_adds_up() -> None:
    """As if one had counted it all; what is added stays as it was."""
    runs = [
        BatchDone(images=8, waits_ns=(100, 150, 250), run_ns=100),
        BatchDone(images=8, waits_ns=(20,), run_ns=50),
        BatchDone(images=2, waits_ns=(1, 2), run_ns=7),
        BatchDone(images=2, waits_ns=(1, 2), run_ns=7, failed=True),
    ]
    alone, first, second = Statistics(), Statistics(), Statistics()
    for run in runs:
        alone.add(run)
    for run in runs[:2]:
        first.add(run)
    for run in runs[2:]:
        second.add(run)
    before = deepcopy(second)

    first.merge(second)

    assert replace(first, last_run_ms=0) == replace(alone, last_run_ms=0)
    assert first.last_run_ms == second.last_run_ms
    assert second == before
