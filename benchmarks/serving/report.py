"""The tables of `make benchmark`, from its figures."""

import math
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from benchmarks.measured import head_of, row_of
from benchmarks.serving.latency import KEPT_UP
from benchmarks.serving.throughput import BARE

VOUCH, TRITON = "Vouch", "Triton's best"
TARGETS = {"linear": {1: 2.5, 32: 1.75, 128: 1.5, 1024: 1.25}, "cnn": dict.fromkeys((1, 8, 32, 128, 1024), 1.1)}
"""Kind of model -> images of a call -> of Triton's best calls a second, with default settings."""
TARGET_OF_BARE = {"cnn": 0.95}
"""Of bare ONNX Runtime's best images a second."""
TARGET_TAIL = 5.0
"""p99 at 70 % of what is kept up, of the idle p50."""
TARGET_STREAM, TARGET_STREAM_OF_TRITON = 1.5, 4.0
"""A stream's answers a second, of our unary calls and of Triton's."""
Rows = list[dict[str, Any]]


def tables(figures: dict[str, Any]) -> str:
    """All tables as Markdown. What is no result is in none."""
    keys = ("rows", "streams", "rest", "photographs")
    found = {key: [row for row in figures.get(key, []) if not row["problems"]] for key in keys}
    figures, rows = figures | found, found["rows"]
    parts = []
    for kind in names(rows, "kind"):
        of_kind = [row for row in rows if row["kind"] == kind]
        calls = [row for row in of_kind if row["load"] == "saturated"]
        if calls:
            parts += [throughput(kind, calls), ratios(kind, calls)]
        placed = [row for row in of_kind if row["load"] != "saturated"]
        if placed:
            parts.append(latency(kind, placed))
        if calls:
            parts.append(memory(kind, calls))
    if figures["streams"]:
        parts.append(streams(figures["streams"]))
    if figures["rest"]:
        parts.append(rest(figures["rest"]))
    if figures["photographs"]:
        parts.append(photographs(figures["photographs"]))
    parts += ["\n".join(f"- {title}: {settings}" for title, settings in figures["peers"].items())]
    flags = " ".join(figures["flags"]) or "none of the flags asked for"
    return "\n\n".join([*parts, f"{figures['machine']}; {flags}; commit {figures['commit']}"])


def throughput(kind: str, rows: Rows) -> str:
    """Calls a second, and images a second at the best batch size; medians of the rounds."""
    batches = names(rows, "batch")
    best = {name: _best(rows, name) for name in names(rows, "contender")}
    lines = head_of([f"{kind}: calls a second at batch", *map(_count, batches), "images a second", "of bare's best"])
    for name, images in best.items():
        cells = [_speed(rows, name, batch) for batch in batches]
        share = f"{images / best[BARE]:.2f}" if best.get(BARE) else ""
        said = (f"{cell:,.0f}" if cell else "no result" for cell in cells)
        lines.append(row_of([name, *said, f"{images:,.0f}", share]))
    if kind in TARGET_OF_BARE:
        lines.append(row_of(["*to reach*", *[""] * (len(batches) + 1), f"*{TARGET_OF_BARE[kind]}*"]))
    return "\n".join(lines)


def ratios(kind: str, rows: Rows) -> str:
    """Of Vouch with default settings to each other, and of ours to Triton's best; medians of the rounds' ratios."""
    batches, found = names(rows, "batch"), names(rows, "contender")
    others = [name for name in found if not name.startswith((VOUCH, BARE, "Triton"))]
    pairs = [(VOUCH, other) for other in others if VOUCH in found]
    if any(name.startswith("Triton") for name in found):
        ours = [name for name in found if name.startswith(VOUCH)]
        pairs = [(one, TRITON) for one in ours] + pairs
    lines = head_of([f"{kind}: ratio at batch", *map(_count, batches)])
    for one, other in pairs:
        lines.append(row_of([f"{one} / {other}", *(_ratio(rows, one, other, batch) for batch in batches)]))
    targets = (TARGETS.get(kind, {}).get(batch) for batch in batches)
    lines.append(row_of([f"*to reach of {TRITON}*", *(f"*{target}*" if target else "" for target in targets)]))
    return "\n".join(lines)


def latency(kind: str, rows: Rows) -> str:
    """Milliseconds of single images at random moments, server and generator on a core each; medians of the rounds."""
    lines = head_of(
        [
            *(f"{kind}, one core: latency in ms", "most", "kept up", "idle p50"),
            *(f"p50 / p99 / p99.9 at {share}" for share in ("50%", "70%", "90%")),
            "p99 at 70% / idle p50",
        ]
    )
    for name in names(rows, "contender"):
        of_it = [row for row in rows if row["contender"] == name]
        idle, tail = _middle(of_it, "idle", "p50_ms"), _middle(of_it, "70%", "p99_ms")
        cells = [f"{_middle(of_it, load, 'calls_a_second'):,.0f}" for load in ("most", KEPT_UP)] + [f"{idle:.2f}"]
        for share in ("50%", "70%", "90%"):
            cells.append(" / ".join(f"{_middle(of_it, share, key):.2f}" for key in ("p50_ms", "p99_ms", "p999_ms")))
        said = [*cells, f"{tail / idle:.1f}"]
        lines.append(row_of([name, *("no answer" if "nan" in cell else cell for cell in said)]))
    lines.append(row_of(["*at most*", *[""] * 6, f"*{TARGET_TAIL:g}*"]))
    return "\n".join(lines)


def memory(kind: str, rows: Rows) -> str:
    """What each takes; proportional set sizes in MB."""
    batches = names(rows, "batch")
    first, last = batches[0], batches[-1]
    lines = head_of(
        [
            *(f"{kind}: takes", "idle: all, MB", "largest process, MB", "after loads, MB", "first answer, s"),
            f"CPU s a million images at {_count(first)} / {_count(last)}",
        ]
    )
    for name in names(rows, "contender"):
        of_it = [row for row in rows if row["contender"] == name]
        if name == BARE:
            continue
        cells = [f"{median(row[key] for row in of_it):,.0f}" for key in ("idle_mb", "largest_mb")]
        cells += [f"{max(row['memory_mb'] for row in of_it):,.0f}"]
        cells += [f"{median(row['first_answer_s'] for row in of_it):.2f}"]
        spent = [[row["cpu_s_per_million_images"] for row in of_it if row["batch"] == one] for one in (first, last)]
        cells.append(" / ".join(f"{median(values):,.1f}" if values else "" for values in spent))
        lines.append(row_of([name, *cells]))
    return "\n".join(lines)


def streams(rows: Rows) -> str:
    """Answers a second for single images, unary and in streams; medians of the rounds and of their ratios."""
    ways = names(rows, "way")
    ways.sort(key=("ModelInfer", "Predict", "PredictStream", "ModelStreamInfer").index)
    unary = _by_round(rows, lambda row: row["contender"].startswith("Triton") and row["way"] == "ModelInfer")
    lines = head_of(["answers a second", *ways, "PredictStream / Predict", "PredictStream / Triton's ModelInfer"])
    for name in names(rows, "contender"):
        of_way = {
            way: _by_round(rows, lambda row, way=way: (row["contender"], row["way"]) == (name, way))  # type: ignore[misc] # noqa: B023
            for way in ways
        }
        cells = [f"{median(of_way[way].values()):,.0f}" if of_way[way] else "" for way in ways]
        stream = of_way.get("PredictStream", {})
        for other in (of_way.get("Predict", {}), unary):
            cells.append(_middle_ratio(stream, other) if stream and other else "")
        lines.append(row_of([name, *cells]))
    targets = [f"*{TARGET_STREAM:g}*", f"*{TARGET_STREAM_OF_TRITON:g}*"]
    return "\n".join([*lines, row_of(["*to reach*", *[""] * len(ways), *targets])])


def rest(rows: Rows) -> str:
    """Calls a second over HTTP/1.1; medians of the rounds, and of their ratios to Vouch in the same form."""
    head = ["REST, one image per call", "takes", "calls per second", "CPU seconds per million calls", "Vouch / it"]
    lines = head_of(head)
    for name in names(rows, "contender"):
        of_it = [row for row in rows if row["contender"] == name]
        takes = of_it[0]["takes"]
        speed, cpu_s = (median(row[key] for row in of_it) for key in ("calls_a_second", "cpu_s_per_million_calls"))
        ours = _by_round(rows, lambda row, takes=takes: row["contender"].startswith(VOUCH) and row["takes"] == takes)  # type: ignore[misc]
        ratio = _middle_ratio(ours, {row["round"]: row["calls_a_second"] for row in of_it})
        lines.append(row_of([name, takes, f"{speed:,.0f}", f"{cpu_s:,.0f}", "" if name.startswith(VOUCH) else ratio]))
    return "\n".join(lines)


def photographs(rows: Rows) -> str:
    """Images a second from JPEG files; medians of the rounds and of their ratios."""
    size = f"photographs of 500 x 375, {rows[0]['file_kb']} kB"
    lines = head_of([size, "images a second", "cores' seconds per 1,000", "Vouch / it"])
    vouch = {row["round"]: row["images_a_second"] for row in rows if row["contender"] == VOUCH}
    for name in names(rows, "contender"):
        of_it = [row for row in rows if row["contender"] == name]
        speed, cpu_s = (median(row[key] for row in of_it) for key in ("images_a_second", "cpu_s_per_thousand_images"))
        ratio = _middle_ratio(vouch, {row["round"]: row["images_a_second"] for row in of_it}) if name != VOUCH else ""
        lines.append(row_of([name, f"{speed:,.1f}", f"{cpu_s:.1f}", ratio]))
    return "\n".join(lines)


def names(rows: Iterable[dict[str, Any]], key: str) -> list[Any]:
    """The values of a key, in the order in which they first occur; numbers in theirs."""
    found = list(dict.fromkeys(row[key] for row in rows))
    return sorted(found) if found and isinstance(found[0], int) else found


def _count(number: int) -> str:
    return f"{number:,}"


def _speed(rows: Rows, name: str, batch: int) -> float:
    values = [row["calls_a_second"] for row in rows if (row["contender"], row["batch"]) == (name, batch)]
    return float(median(values)) if values else 0.0


def _best(rows: Rows, name: str) -> float:
    """Images a second at the batch size that gives most."""
    return max((_speed(rows, name, batch) * int(batch) for batch in names(rows, "batch")), default=0.0)


def _ratio(rows: Rows, one: str, other: str, batch: int) -> str:
    """The median of the rounds' ratios."""
    if other == TRITON:
        tritons = [name for name in names(rows, "contender") if name.startswith("Triton")]
        other = max(tritons, key=lambda name: _speed(rows, name, batch))
    found = [
        _by_round(rows, lambda row, name=name: (row["contender"], row["batch"]) == (name, batch))  # type: ignore[misc]
        for name in (one, other)
    ]
    return _middle_ratio(*found)


def _by_round(rows: Rows, wanted: Callable[[dict[str, Any]], bool]) -> dict[int, float]:
    speed = "calls_a_second" if rows and "calls_a_second" in rows[0] else "answers_a_second"
    return {row["round"]: row[speed] for row in rows if wanted(row)}


def _middle_ratio(one: dict[int, float], other: dict[int, float]) -> str:
    """Of the rounds that both have; says where the other has answered nothing at all in more than half of them."""
    found = [one[number] / other[number] if other[number] else math.inf for number in one if number in other]
    middle = median(found) if found else math.nan
    return f"{middle:.2f}" if math.isfinite(middle) else "no answer"


def _middle(rows: Rows, load: str, key: str) -> float:
    values = [row[key] for row in rows if row["load"] == load and row[key] is not None]
    return float(median(values)) if values else math.nan
