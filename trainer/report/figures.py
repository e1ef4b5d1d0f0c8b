"""Curves as SVG inside the page, in the page's own colours and fonts, light and dark. The only importer of matplotlib.

matplotlib is told placeholder colours, which become the page's CSS variables; text stays text. The same numbers give
the same bytes.
"""

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import isfinite

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from vouch.bundle.calibration import BINS
from vouch.trainer.report.outcome import Reliability

INK, SOFT, PAPER = "#010101", "#020202", "#030303"
SERIES = tuple(f"#0404{number:02x}" for number in range(1, 9))
VARIABLES = {INK: "--ink", SOFT: "--line", PAPER: "--card"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)
}
SIZE = 5.0, 3.1
"""Inches of 72 CSS pixels: as wide as a phone, so that text is drawn at its own size there."""
MANY_POINTS = 60


def curves_figure(name: str, epochs: Sequence[int], lines: Sequence[tuple[str, Sequence[float]]], percent: bool) -> str:
    """Lines over the epochs.

    Args:
        name: of the figure, unlike any other's on the page.
        epochs: their numbers.
        lines: name and values of each; NaN is left out.
        percent: whether the values are shares, 0 to 1.

    A single line begins at nought.
    """
    with _style(name):
        figure, (axes,) = _axes(SIZE)
        for colour, (line, values) in zip(SERIES, lines, strict=False):
            marker = "o" if len(epochs) <= MANY_POINTS else ""
            axes.plot(epochs, values, color=colour, marker=marker, markersize=3, linewidth=1.6, label=line)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if len(epochs) == 1:
            axes.set_xticks(list(epochs))
        if len(lines) == 1:
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        values_shown = [value for _, values in lines for value in values if isfinite(value) and value > 0]
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        elif len(lines) > 1 and values_shown and max(values_shown) > 30 * min(values_shown):
            axes.set_yscale("log")
        if len(lines) > 1:
            axes.legend(frameon=False, labelcolor=INK)
        return _svg(figure, name)


def learning_figure(name: str, images: Sequence[int], right: Sequence[float]) -> str:
    """The share of right answers by the number of images that were learned from."""
    with _style(name):
        figure, (axes,) = _axes((SIZE[0], 2.6))
        axes.plot(images, right, color=SERIES[0], marker="o", markersize=4, linewidth=1.6)
        axes.set_xscale("log")
        axes.set_xticks(list(images), [f"{size:,}" for size in images])
        axes.minorticks_off()
        axes.set_xlabel("images learned from")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        return _svg(figure, name)


def rate_figure(name: str, steps: Sequence[tuple[int, float, float]]) -> str:
    """The step size, step by step.

    Args:
        name: of the figure.
        steps: number, rate and loss of each.
    """
    with _style(name):
        figure, (axes,) = _axes(SIZE)
        numbers, rates = [step[0] for step in steps], [step[1] for step in steps]
        axes.fill_between(numbers, rates, color=SERIES[0], alpha=0.15, linewidth=0)
        axes.plot(numbers, rates, color=SERIES[0], linewidth=1.6)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        return _svg(figure, name)


def course_figure(name: str, course: Sequence[float]) -> str:
    """A probability after each change of an image."""
    with _style(name):
        figure, (axes,) = _axes((SIZE[0], 2.3))
        axes.fill_between(range(len(course)), course, color=SERIES[1], alpha=0.15, linewidth=0)
        axes.plot(range(len(course)), course, color=SERIES[1], linewidth=1.6)
        axes.set_xlabel("changes of the image")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        _show_shares(axes)
        return _svg(figure, name)


def reliability_figure(name: str, measured: Reliability) -> str:
    """How sure the model was against how often it was right, with the number of answers below."""
    with _style(name):
        figure, (axes, counts) = _axes((SIZE[0], 4.2), rows=(3, 1))
        left, width = np.arange(BINS) / BINS, 0.92 / BINS
        filled = measured.counts > 0
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.bar(left[filled], measured.accuracy[filled], width, align="edge", color=SERIES[0], alpha=0.35)
        axes.plot(measured.confidence[filled], measured.accuracy[filled], "o", color=SERIES[0], markersize=4)
        axes.set_ylabel("were right")
        axes.set_xlim(0, 1)
        axes.tick_params(labelbottom=False)
        _show_shares(axes)
        counts.bar(left, measured.counts, width, align="edge", color=SERIES[1], alpha=0.6)
        highest = max(1, int(measured.counts.max()))
        counts.set_yscale("log")
        counts.set_ylim(0.5, 2.0 * highest)
        tens = range(0, len(str(highest)), max(1, len(str(highest)) // 2))
        counts.set_yticks([10**power for power in tens], [f"{10**power:,}" for power in tens])
        counts.minorticks_off()
        counts.set_xlim(0, 1)
        counts.xaxis.set_major_formatter(PercentFormatter(1))
        counts.set_xlabel("how sure the model was")
        counts.set_ylabel("answers")
        return _svg(figure, name)


def _show_shares(axes: Axes) -> None:
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def _style(name: str) -> AbstractContextManager[None]:
    """The house's style for a while; the ids of the SVG follow from the name."""
    return mpl.rc_context(
        {
            "axes.edgecolor": SOFT,
            "axes.labelcolor": INK,
            "font.sans-serif": ["DejaVu Sans"],  # to measure with; the page sets its own
            "font.size": 11,
            "axes.xmargin": 0.02,
            "grid.color": SOFT,
            "svg.fonttype": "none",
            "svg.hashsalt": name,
            "xtick.color": SOFT,
            "xtick.labelcolor": INK,
            "ytick.color": SOFT,
            "ytick.labelcolor": INK,
        }
    )


def _axes(size: tuple[float, float], rows: tuple[int, ...] = (1,)) -> tuple[Figure, list[Axes]]:
    """Empty axes below each other, these parts of the height each."""
    figure = Figure(figsize=size, layout="constrained")
    found = list(figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0])
    for axes in found:
        axes.grid(visible=True, axis="y", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0)
    return figure, found


def _svg(figure: Figure, name: str) -> str:
    """The figure for the page: no prolog, no date, ids of its own, colours as CSS variables."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace("\n", " ")
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg)
    svg = re.sub(r" +", " ", svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r' width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
