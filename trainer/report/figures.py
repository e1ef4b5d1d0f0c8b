"""The figures of the page, each an SVG; the same numbers give the same bytes."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from vouch.bundle.calibration import BINS
from vouch.trainer.report.axes import BELOW, INK, LETTER, RIGHT, WIDTH, Panel, Scale, legend, numbers, sideways, svg
from vouch.trainer.report.outcome import Reliability

SERIES = tuple(f"var(--series-{number})" for number in range(1, 9))
HEIGHT, LOW = 223, 166
"""CSS pixels of a figure, and of a low one."""
MANY_POINTS = 60
SPREAD = 30
"""If the largest loss is more than this many times the smallest, the scale is logarithmic."""
SHARES = Scale(0.0, 1.03)


def curves_figure(epochs: Sequence[int], lines: Sequence[tuple[str, Sequence[float]]], percent: bool) -> str:
    """Lines over the epochs.

    Args:
        epochs: their numbers.
        lines: name and values of each; NaN is left out.
        percent: whether the values are shares, 0 to 1.

    A single line begins at 0.
    """
    values = [value for _, line in lines for value in line]
    positive = [value for value in values if isfinite(value) and value > 0]
    log = not percent and len(lines) > 1 and bool(positive) and max(positive) > SPREAD * min(positive)
    y = Scale.of(values, from_zero=len(lines) == 1, log=log)
    ticks = [tick for tick in y.ticks() if not percent or tick <= 1 + 1e-9]
    words = [f"{tick:g}" for tick in ticks] if log else numbers(ticks, percent)
    left = _room(words)
    names, top = legend([name for name, _ in lines], SERIES, left) if len(lines) > 1 else ("", 6.0)
    panel = Panel(left, top, WIDTH - left - RIGHT, HEIGHT - top - BELOW, Scale.of(epochs, room=0.02), y)
    drawn = [
        panel.line(epochs, line, colour, dots=len(epochs) <= MANY_POINTS)
        for (_, line), colour in zip(lines, SERIES, strict=False)
    ]
    return svg(HEIGHT, names, panel.grid(ticks, words), _whole(panel, epochs, "epoch"), *drawn)


def learning_figure(images: Sequence[int], right: Sequence[float]) -> str:
    """Accuracy by the number of images that were learned from."""
    y = Scale.of(right)
    ticks = [tick for tick in y.ticks(5) if tick <= 1 + 1e-9]
    words = numbers(ticks, percent=True)
    left = _room(words)
    panel = Panel(left, 8, WIDTH - left - 2 * RIGHT, LOW - 8 - BELOW, Scale.of(images, log=True, room=0.02), y)
    below = panel.below(images, [f"{size:,}" for size in images], "images learned from")
    return svg(LOW, panel.grid(ticks, words), below, panel.line(images, right, SERIES[0], dots=True))


def rate_figure(steps: Sequence[tuple[int, float, float]]) -> str:
    """The learning rate, step by step.

    Args:
        steps: number, rate and loss of each.
    """
    places, rates = [step[0] for step in steps], [step[1] for step in steps]
    y = Scale.of(rates, from_zero=True)
    ticks = y.ticks()
    words = numbers(ticks)
    left = _room(words)
    panel = Panel(left, 8, WIDTH - left - RIGHT, HEIGHT - 8 - BELOW, Scale.of(places, room=0.02), y)
    drawn = panel.area(places, rates, SERIES[0]) + panel.line(places, rates, SERIES[0])
    return svg(HEIGHT, panel.grid(ticks, words), _whole(panel, places, "step"), drawn)


def course_figure(course: Sequence[float]) -> str:
    """A probability after each change of an image."""
    changes = range(len(course))
    panel = _of_shares(8, LOW - 8 - BELOW, Scale.of(changes, room=0.02))
    drawn = panel.area(changes, course, SERIES[1]) + panel.line(changes, course, SERIES[1])
    return svg(LOW, _shares(panel), _whole(panel, changes, "changes of the image"), drawn)


def reliability_figure(measured: Reliability) -> str:
    """Accuracy by the probability of the answer, with the number of answers below."""
    lefts, width = (np.arange(BINS) / BINS).tolist(), 0.92 / BINS
    filled = measured.counts > 0
    right = np.where(filled, measured.accuracy, 0.0).tolist()
    upper = _of_shares(8, 178, Scale(0.0, 1.0), room=16)
    highest = max(1, int(measured.counts.max()))
    lower = Panel(upper.left, 204, upper.width, 64, upper.x, Scale(0.5, 2.0 * highest, log=True))
    powers = range(0, len(str(highest)), max(1, len(str(highest)) // 2))
    tens = [10.0**power for power in powers]
    shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    return svg(
        lower.top + lower.height + BELOW,
        _shares(upper),
        upper.bars(lefts, width, right, SERIES[0], 0.35),
        upper.line((0.0, 1.0), (0.0, 1.0), INK, dashed=True),
        *(
            upper.line([sure], [share], SERIES[0])
            for sure, share in zip(
                measured.confidence[filled].tolist(), measured.accuracy[filled].tolist(), strict=True
            )
        ),
        sideways(upper.top + upper.height / 2, "were right"),
        lower.grid(tens, [f"{ten:,.0f}" for ten in tens]),
        lower.bars(lefts, width, measured.counts.tolist(), SERIES[1], 0.6),
        lower.below(shares, numbers(shares, percent=True), "how sure the model was"),
        sideways(lower.top + lower.height / 2, "answers"),
    )


def _of_shares(top: float, height: float, x: Scale, room: float = 0.0) -> Panel:
    left = _room(["100%"]) + room
    return Panel(left, top, WIDTH - left - RIGHT, height, x, SHARES)


def _shares(panel: Panel) -> str:
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    return panel.grid(ticks, numbers(ticks, percent=True))


def _whole(panel: Panel, values: Sequence[int], title: str) -> str:
    """The x axis, with whole numbers."""
    ticks = list(values) if len(values) == 1 else panel.x.ticks(8, whole=True)
    return panel.below(ticks, numbers(ticks), title)


def _room(words: Sequence[str]) -> float:
    """Space on the left for these words, with a margin."""
    return 12 + (LETTER + 0.6) * max((len(word) for word in words), default=1)
