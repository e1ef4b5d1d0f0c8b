import io
import json

import numpy as np
from rich.console import Console

from tests.client.bench.made_up import closed, measured_of, opened
from vouch.client.bench.images import Reference
from vouch.client.bench.points import ClosedPoint, Measured, OpenPoint
from vouch.client.bench.recommend import recommend
from vouch.client.bench.report import as_json, notes, tables
from vouch.client.settings import BenchSettings

REFERENCE = Reference(np.zeros((3, 4, 4), np.uint8), (("a",), ("b",), ("a",)))
POINTS: list[ClosedPoint | OpenPoint] = [
    closed(1, 1),
    closed(1, 2, calls=1500, busy=0.8),
    closed(128, 1, errors={"RESOURCE_EXHAUSTED": 12, "DEADLINE_EXCEEDED": 3}, wrong=2),
    opened(1, 0.5, p999_s=None, lateness_s=0.001),
    opened(1, 0.9, lateness_s=0.02),
    opened(128, 0.9, p99_s=None, p999_s=None, errors={"RESOURCE_EXHAUSTED": 12_345, "DEADLINE_EXCEEDED": 3}),
]


def shown(measured: Measured, width: int = 80) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, soft_wrap=True)
    for table in tables(measured):
        console.print(table)
    return file.getvalue().splitlines()


def row(lines: list[str], *cells: str) -> list[str]:
    """The words of the line that begins so."""
    found = [line.split() for line in lines if line.split()[: len(cells)] == list(cells)]
    assert len(found) == 1
    return found[0][len(cells) :]


def test_the_tables_have_a_line_a_point() -> None:
    """Latencies in milliseconds, and what was not answered by its status code; nothing is cut on 80 columns."""
    lines = shown(measured_of(*POINTS))

    assert row(lines, "1", "2") == ["1,500", "1,500", "2", "4"]
    assert row(lines, "128", "1") == ["125,824", "983", "2", "4", "12", "RESOURCE_EXHAUSTED"]
    assert row(lines, "1", "50%") == ["500", "2", "4", "-"]
    assert row(lines, "128", "90%") == ["900", "2", "-", "-", "12,345", "RESOURCE_EXHAUSTED"]
    assert {"3 DEADLINE_EXCEEDED", "2 WRONG"} <= {line.strip() for line in lines}
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_a_row_that_was_sent_late_is_no_result() -> None:
    """It says so instead of latencies."""
    words = row(shown(measured_of(*POINTS)), "1", "90%")

    assert words[:4] == ["900", "-", "-", "-"]
    assert " ".join(words[4:]).startswith("sent up to 20 ms late: no")


def test_without_open_loops_there_is_one_table() -> None:
    """After an early interruption."""
    assert len(list(tables(measured_of(closed(1, 1))))) == 1


def test_the_notes_tell_how_busy_this_process_was() -> None:
    """The most of all points, because on one machine the server had to do without."""
    told = " ".join(notes(measured_of(*POINTS), REFERENCE))

    assert "used up to 0.80 cores" in told
    assert "Latency counts from when a call was due" in told
    assert "were sent at most 1 ms late" in told
    assert "A row without latencies is not a result" in told
    assert "was interrupted" not in told
    assert "All images have the same answer" not in told


def test_the_notes_tell_what_was_left_undone_and_what_the_check_is_worth() -> None:
    """Where it was interrupted; where one answer for all images would hide a mix-up."""
    measured = measured_of(closed(1, 1))
    measured.complete = False
    told = " ".join(notes(measured, Reference(REFERENCE.images, (("a",),) * 3)))

    assert "was interrupted" in told
    assert "All images have the same answer" in told
    assert "was due" not in told


def test_the_json_has_every_point() -> None:
    """In milliseconds; null where a percentile is none, and where the row is no result."""
    measured = measured_of(*POINTS)
    recommendation = recommend(measured.closed, None)

    settings = BenchSettings(seconds=2)
    result = json.loads(json.dumps(as_json(settings, REFERENCE, measured, recommendation), allow_nan=False))

    assert (result["model"], result["version"], result["complete"], result["wrong"]) == ("tiny", 1, True, None)
    assert (result["data"], result["images"], result["distinct_answers"]) == ("random pixels", 3, 2)
    assert [(point["batch_size"], point["concurrency"]) for point in result["closed"]] == [(1, 1), (1, 2), (128, 1)]
    assert result["closed"][1]["images_per_s"] == 1500
    assert result["closed"][2]["errors"] == {"RESOURCE_EXHAUSTED": 12, "DEADLINE_EXCEEDED": 3}
    assert [point["generator_fell_behind"] for point in result["open"]] == [False, True, False]
    assert [point["p99_ms"] for point in result["open"]] == [4, None, None]
    assert result["open"][1]["lateness_ms"] == 20
    assert (result["slo_ms"], result["recommended"]) == (20, {"batch_size": 1, "concurrency": 2})
    assert result["recommendation"] == recommendation.sentence


def test_without_a_recommendation_the_json_says_so() -> None:
    """null, with the reason beside it."""
    measured = measured_of(closed(1, 1))
    recommendation = recommend(measured.closed, 0.1)

    result = as_json(BenchSettings(), REFERENCE, measured, recommendation)

    assert result["recommended"] is None
    assert result["recommendation"].startswith("No setting")
