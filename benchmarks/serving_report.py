"""The tables and the plot of `make benchmark`, from its figures."""

import io
import math
from collections.abc import Iterable
from statistics import median
from typing import Any

from matplotlib.figure import Figure

TRITON, MLSERVER, BARE = "Triton, 2 instances", "MLServer", "bare ONNX Runtime"
ECHO, ECHO_WITH_MODEL = "grpcio echo", "grpcio echo that runs the model"
TARGETS = {1: (2.0, 9, 0.8), 32: (1.35, 14, 0.75), 128: (1.3, 15, 0.75), 1024: (1.0, 20, 0.75)}
"""Batch size -> at least this many times Triton and MLServer with h2corn and one worker, grpcio's echo with grpcio."""
Rows = list[dict[str, Any]]


def tables(figures: dict[str, Any]) -> str:
    """All tables as Markdown."""
    rows: Rows = figures["rows"]
    parts = []
    for kind in _names(rows, "kind"):
        of_kind = [row for row in rows if row["kind"] == kind]
        parts += [f"**{kind}**: calls a second, median of the rounds", _throughput(of_kind)]
        parts += ["Images a second at the best batch size, and the share of bare ONNX Runtime's", _best(of_kind)]
        targets = _targets(of_kind) if kind == "linear" else []
        parts += ["Against the peers and the limits, median of the rounds' ratios", _ratios(of_kind, targets)]
        parts += [f"**{kind}**: latency and what it takes", _latency(of_kind)]
    return "\n\n".join([*parts, figures["machine"]])


def plot(figures: dict[str, Any]) -> str:
    """Throughput over batch size, and latency over load, for each kind of model; SVG."""
    rows: Rows = figures["rows"]
    kinds = _names(rows, "kind")
    figure = Figure(figsize=(11, 4.2 * len(kinds)), layout="constrained")
    for place, kind in enumerate(kinds):
        throughput, latency = (
            figure.add_subplot(len(kinds), 2, 2 * place + 1),
            figure.add_subplot(len(kinds), 2, 2 * place + 2),
        )
        for style, name in enumerate(_names(rows, "contender")):
            of_it = [row for row in rows if (row["kind"], row["contender"]) == (kind, name)]
            mark = {"marker": "osD^vP*X<"[style % 9], "color": f"C{style}", "label": name, "linewidth": 1}
            images = {batch: median(_values(of_it, batch, "saturated")) * batch for batch in _names(of_it, "batch")}
            answered = {batch: speed for batch, speed in images.items() if speed}
            throughput.plot(list(answered), list(answered.values()), **mark)
            loads = [load for load in _names(of_it, "load") if load.endswith("%")]
            if not loads:
                continue
            latency.plot(
                [row["calls_a_second"] for load in loads for row in of_it if row["load"] == load],
                [row["p99_ms"] for load in loads for row in of_it if row["load"] == load],
                **mark,
            )
        throughput.set(xscale="log", yscale="log", xlabel="images a call", ylabel="images a second", title=kind)
        latency.set(
            xscale="log",
            yscale="log",
            xlabel="calls a second (at random moments)",
            ylabel="p99 latency, ms",
            title=kind,
        )
        throughput.legend(fontsize=7)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue()


def _throughput(rows: Rows) -> str:
    batches = _names(rows, "batch")
    lines = ["| | " + " | ".join(f"batch {batch}" for batch in batches) + " |", "|---|" + "---|" * len(batches)]
    for name in _names(rows, "contender"):
        of_it = [row for row in rows if row["contender"] == name]
        cells = [f"{median(_values(of_it, batch, 'saturated')):,.0f}" for batch in batches]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _best(rows: Rows) -> str:
    lines = ["| | images a second | at batch | of bare ONNX Runtime's best |", "|---|---|---|---|"]
    best = {
        name: max((median(_values(of_it, batch, "saturated")) * batch, batch) for batch in _names(of_it, "batch"))
        for name in _names(rows, "contender")
        for of_it in [[row for row in rows if row["contender"] == name]]
        if name != ECHO
    }
    for name, (images, batch) in best.items():
        share = f"{images / best[BARE][0]:.2f}" if BARE in best else ""
        lines.append(f"| {name} | {images:,.0f} | {batch} | {share} |")
    return "\n".join(lines)


def _ratios(rows: Rows, targets: list[str]) -> str:
    names = _names(rows, "contender")
    ours = [name for name in names if name.startswith("vouch")]
    pairs = [(name, other) for name in ours for other in (TRITON, MLSERVER) if other in names]
    pairs += [(name, echo) for name in ours if "grpcio" in name for echo in (ECHO, ECHO_WITH_MODEL) if echo in names]
    pairs += [(one, other) for one in ours if "h2corn" in one and (other := one.replace("h2corn", "grpcio")) in ours]
    pairs += [(ECHO_WITH_MODEL, ECHO)] if {ECHO_WITH_MODEL, ECHO} <= set(names) else []
    batches = _names(rows, "batch")
    lines = ["| | " + " | ".join(f"batch {batch}" for batch in batches) + " |", "|---|" + "---|" * len(batches)]
    for name, other in pairs:
        cells = [_ratio(rows, name, other, batch) for batch in batches]
        lines.append(f"| {name} / {other} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, *targets])


def _targets(rows: Rows) -> list[str]:
    """What is to be reached, as the last lines of such a table."""
    lines = []
    for place, other in enumerate((TRITON, MLSERVER, ECHO)):
        cells = [f"{TARGETS[batch][place]:g}" if batch in TARGETS else "" for batch in _names(rows, "batch")]
        lines.append(f"| *to reach against {other}* | " + " | ".join(cells) + " |")
    return lines


def _ratio(rows: Rows, name: str, other: str, batch: int) -> str:
    """The median of the rounds' ratios; says where the other has answered nothing at all in more than half of them."""
    found: dict[str, dict[int, float]] = {name: {}, other: {}}
    for row in rows:
        if row["contender"] in found and row["batch"] == batch and row["load"] == "saturated":
            found[row["contender"]][row["round"]] = row["calls_a_second"]
    ratios = [
        speed / found[other][number] if found[other][number] else math.inf
        for number, speed in found[name].items()
        if number in found[other]
    ]
    middle = median(ratios)
    return f"{middle:.2f}" if math.isfinite(middle) else "no answer"


def _latency(rows: Rows) -> str:
    lines = [
        "| | alone p50 / p99, ms | at 50 % p50 / p99 / p99.9 | at 70 % | at 90 % | p99 at 70 % / p50 alone | "
        "memory of all, of one before any load, MB | ready after, s | CPU s a million images |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in _names(rows, "contender"):
        of_it = [row for row in rows if row["contender"] == name]
        alone = [row for row in of_it if row["load"] == "alone" and row["p50_ms"] is not None]
        if not alone:
            continue
        cells = [f"{median(row['p50_ms'] for row in alone):.2f} / {median(row['p99_ms'] for row in alone):.2f}"]
        for load in ("50%", "70%", "90%"):
            found = [row for row in of_it if row["load"] == load]
            cells.append(
                " ; ".join(
                    f"{row['p50_ms']:.2f} / {row['p99_ms']:.2f} / {row['p999_ms']:.2f}"
                    + (" (fell behind)" if "were answered" in row["problems"] else "")
                    for row in found
                )
            )
        idle = median(row["p50_ms"] for row in alone)
        cells.append(" ; ".join(f"{row['p99_ms'] / idle:.1f}" for row in of_it if row["load"] == "70%"))
        one = min(row["largest_mb"] for row in of_it)
        cells.append(f"{max(row['memory_mb'] for row in of_it):.0f}, {one:.0f}")
        cells.append(f"{median(row['first_answer_s'] for row in alone):.2f}")
        batches = _names(of_it, "batch")
        spent = {
            batch: median(
                row["cpu_s_per_million_images"] for row in of_it if row["batch"] == batch and row["load"] == "saturated"
            )
            for batch in batches
        }
        cells.append(", ".join(f"{value:.0f} at {batch}" for batch, value in spent.items()))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _values(rows: Rows, batch: int, load: str) -> list[float]:
    return [row["calls_a_second"] for row in rows if row["batch"] == batch and row["load"] == load]


def _names(rows: Iterable[dict[str, Any]], key: str) -> list[Any]:
    """The values of a key, in the order in which they first occur."""
    return list(dict.fromkeys(row[key] for row in rows))
