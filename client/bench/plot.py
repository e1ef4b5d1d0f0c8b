"""The plot of a measurement: throughput over batch size, latency over load. Readable in black and white.

Only this file of the client imports matplotlib. Equal numbers give equal bytes.
"""

import io
from contextlib import AbstractContextManager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator, PercentFormatter

from vouch.cli.printable import printable
from vouch.client.bench.points import Measured, OpenPoint, shown_ms

SIZE = 10.0, 4.6
"""Inches."""
MARKERS = "osD^vP*X"
"""One for each batch size; repeated if there are more."""


def plot(measured: Measured) -> str:
    """The plot as SVG.

    Args:
        measured: with at least one point.
    """
    with _style():
        figure = Figure(figsize=SIZE, layout="constrained")
        throughput, latency = figure.subplots(1, 2)
        model = measured.model
        title = printable(f"{model.name} version {model.version}")
        figure.suptitle(title.replace("$", r"\$"), fontweight="bold")
        _draw_throughput(throughput, measured)
        _draw_latency(latency, measured)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()


def _style() -> AbstractContextManager[None]:
    """Sets the style inside the block; text stays text, and ids are deterministic."""
    return mpl.rc_context(
        {"font.sans-serif": ["DejaVu Sans"], "font.size": 10, "svg.fonttype": "none", "svg.hashsalt": "bench"}
    )


def _draw_throughput(axes: Axes, measured: Measured) -> None:
    sizes = measured.batch_sizes
    alone = {point.batch_size: point.images_per_s for point in measured.closed if point.concurrency == 1}
    best = [measured.best(size) for size in sizes]
    axes.plot(sizes, [point.images_per_s for point in best], "o-", color="black", label="highest; calls at once")
    axes.plot(sizes, [alone[size] for size in sizes], "s--", color="gray", label="one call at a time")
    for point in best:
        position = point.batch_size, point.images_per_s
        axes.annotate(f"{point.concurrency}", position, xytext=(0, 6), textcoords="offset points", ha="center")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0, top=1.15 * max((point.images_per_s for point in best), default=0) or 1)
    axes.set_title("Throughput")
    axes.set_xlabel("images per call")
    axes.set_ylabel("images per second")
    _finish(axes)


def _draw_latency(axes: Axes, measured: Measured) -> None:
    """Medians dashed, 99th percentiles solid; points whose calls were sent late are left out."""
    for number, size in enumerate(measured.batch_sizes):
        points = [point for point in measured.open if point.batch_size == size and not point.load.fell_behind]
        marker, grey = MARKERS[number % len(MARKERS)], f"{0.55 * number / max(1, len(measured.batch_sizes) - 1):.2f}"
        loads = [point.share for point in points]
        label = f"{size:,} per call"
        axes.plot(loads, [_p99_ms(point) for point in points], f"{marker}-", color=grey, markersize=5, label=label)
        axes.plot(loads, [_p50_ms(point) for point in points], f"{marker}--", color=grey, markersize=5)
    axes.plot([], [], "-", color="black", label="99th percentile")
    axes.plot([], [], "--", color="black", label="median")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown_ms(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(sorted({point.share for point in measured.open})))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_title("Latency of calls at random times")
    axes.set_xlabel("load, as a share of the highest throughput")
    axes.set_ylabel("latency in ms")
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, axis="y", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _p50_ms(point: OpenPoint) -> float:
    return np.nan if point.load.p50_s is None else point.load.p50_s * 1000


def _p99_ms(point: OpenPoint) -> float:
    return np.nan if point.load.p99_s is None else point.load.p99_s * 1000
