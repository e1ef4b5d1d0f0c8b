"""The plot of `make benchmark`, from its figures: throughput over batch size, and latency over load."""

import io
from typing import Any

from matplotlib.figure import Figure

from benchmarks.serving.report import Rows, names


def plot(figures: dict[str, Any]) -> str:
    """A line of two plots for each kind of model; SVG."""
    rows: Rows = [row for row in figures["rows"] if not row["problems"]]
    kinds = names(rows, "kind")
    figure = Figure(figsize=(11, 4.2 * max(1, len(kinds))), layout="constrained")
    for place, kind in enumerate(kinds):
        throughput, latency = (figure.add_subplot(len(kinds), 2, 2 * place + column) for column in (1, 2))
        for style, name in enumerate(names(rows, "contender")):
            of_it = [row for row in rows if (row["kind"], row["contender"]) == (kind, name) and row["calls_a_second"]]
            mark = {"marker": "osD^vP*X<>hpd8"[style % 14], "color": f"C{style % 10}", "label": name, "linewidth": 1}
            calls = [row for row in of_it if row["load"] == "saturated"]
            if calls:
                batches = names(calls, "batch")
                speeds = [
                    _middle([row for row in calls if row["batch"] == batch], "calls_a_second") for batch in batches
                ]
                throughput.plot(batches, [a * b for a, b in zip(batches, speeds, strict=True)], **mark)
            loads = [[row for row in of_it if row["load"] == share] for share in ("50%", "70%", "90%")]
            if all(loads):
                points = ([_middle(load, key) for load in loads] for key in ("calls_a_second", "p99_ms"))
                latency.plot(*points, **mark)
        throughput.set(xscale="log", yscale="log", xlabel="images a call", ylabel="images a second", title=kind)
        latency.set(xscale="log", yscale="log", xlabel="calls a second, on one core", ylabel="p99, ms", title=kind)
        for axes in (throughput, latency):
            if axes.lines:
                axes.legend(fontsize=7)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue()


def _middle(rows: Rows, key: str) -> float:
    values = sorted(row[key] for row in rows)
    return float(values[len(values) // 2])
