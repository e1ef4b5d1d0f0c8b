"""How fast a figure grows: the slope of a line through its upper points, both axes logarithmic; and the table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.growth.curves import CURVES, Curve
from benchmarks.growth.record import Point, Record
from benchmarks.measured import head_of, row_of

UPPER = 10
"""The line goes through the points from this part of the largest size on: below, what a command costs alone shows."""
LEAST = 3


@dataclass(frozen=True)
class Growth:
    """A figure of a curve."""

    sizes: tuple[int, ...]
    values: tuple[float, ...]
    exponent: float | None
    """1: twice the work, twice the cost. None: there are too few points to say."""


def growth(points: Sequence[Point], figure: str) -> Growth:
    """Of the points that have this figure and are above 0."""
    found = [(one["size"], one["figures"][figure]) for one in points if one.get("figures", {}).get(figure, 0) > 0]
    upper = [pair for pair in found if UPPER * pair[0] >= found[-1][0]]
    slope = None
    if len(upper) >= LEAST:
        x, y = np.log(np.array(upper, float)).T
        slope = float(np.polyfit(x, y, 1)[0])
    sizes, values = zip(*found, strict=True) if found else ((), ())
    return Growth(sizes, values, slope)


def table(record: Record) -> str:
    """A row for each figure that is shown: smallest and largest size, and the exponent with its points."""
    lines = head_of(["what grows", "from", "to", "figure", "at the smallest", "at the largest", "exponent (points)"])
    for curve in CURVES:
        points = record.of(curve.name)
        lines += [row for figure in curve.shown if (row := _row(curve, points, figure))]
    failed = [f"{one['curve']} at {one['size']:,}: {one['failed']}" for one in record.points if "failed" in one]
    machines = sorted({f"{one['machine']}, commit {one['commit']}" for one in record.points})
    return "\n\n".join(["\n".join(lines), *failed, *machines])


def _row(curve: Curve, points: Sequence[Point], figure: str) -> str:
    one = growth(points, figure)
    if not one.sizes:
        return ""
    upper = sum(UPPER * size >= one.sizes[-1] for size in one.sizes)
    slope = "" if one.exponent is None else f"{one.exponent:.2f} ({upper})"
    ends = [f"{one.sizes[0]:,}", f"{one.sizes[-1]:,}"]
    values = [written(one.values[0]), written(one.values[-1])]
    return row_of([f"{curve.title}: {curve.grows}", *ends, curve.shown[figure], *values, slope])


def written(value: float) -> str:
    """With two digits or more."""
    return f"{value:,.0f}" if value >= 20 else f"{value:.2g}"
