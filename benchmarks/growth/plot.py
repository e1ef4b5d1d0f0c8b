"""The curves as one picture, to be read at 900 pixels and on a telephone: few words, large letters, no fonts inside."""

import io
import math
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.growth.curves import CURVES
from benchmarks.growth.exponents import growth
from benchmarks.growth.record import Record

COLUMNS, PANEL = 2, (4.5, 3.6)
"""Panels side by side, and inches of each, of 100 points."""
POINTS = 72
"""An inch has so many."""
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "growth",
    "font.family": "sans-serif",
    "font.size": 17,
    "axes.titlesize": 18,
    "legend.fontsize": 15,
    "figure.dpi": POINTS,
}
PANELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *((curve.name, curve.title, tuple(curve.shown)[:3]) for curve in CURVES if curve.name != "small"),
    ("models", "Metrics, by models", ("scrape_kb", "scrape_s")),
    ("small", "Start, by models of 3 kB", ("processor_s", "memory_mb", "supervisor_mb")),
)
"""Curve, title and figures of each."""
DECADES = 6
"""Of a panel at most: what is less beside the largest does not matter."""


def plot(record: Record) -> str:
    """SVG."""
    rows = -(-len(PANELS) // COLUMNS)
    size = COLUMNS * PANEL[0] * 100 / POINTS, rows * PANEL[1] * 100 / POINTS
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        for place, (name, title, shown) in enumerate(PANELS):
            axes = figure.add_subplot(rows, COLUMNS, place + 1)
            axes.set_title(title, loc="left")
            _draw(axes, name, shown, record)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _draw(axes: Axes, name: str, shown: tuple[str, ...], record: Record) -> None:
    """Each figure with its exponent, and as a dotted line what grows as the work does."""
    curve = next(curve for curve in CURVES if curve.name == name)
    axes.set_xlabel(curve.grows)
    values: list[float] = []
    for number, figure in enumerate(shown):
        one = growth(record.of(name), figure)
        if not one.sizes:
            continue
        slope = "" if one.exponent is None else f": {one.exponent:.2f}"
        axes.plot(one.sizes, one.values, marker="osD"[number], color=f"C{number}", label=curve.shown[figure] + slope)
        if number == 0:
            last = one.sizes[-1], one.values[-1]
            axes.plot([last[0] / 10, last[0]], [last[1] / 10, last[1]], color="grey", linestyle=":", zorder=0)
        values += one.values
    if not values:
        return
    top = math.ceil(math.log10(max(values)))
    bottom = max(math.floor(math.log10(min(values))), top - DECADES)
    axes.set(xscale="log", yscale="log", ylim=(10.0**bottom, 10.0**top))
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
