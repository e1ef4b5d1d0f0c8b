"""Plots as SVG, in the page's colours and fonts, light and dark: scales, ticks, lines, bars. Text stays text.

This takes a hundredth of the time that a plotting library needs to be loaded and to lay out its figures.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

WIDTH = 360
"""CSS pixels: as wide as a phone, so that text is drawn at its own size there."""
TEXT, LETTER = 11, 6.4
"""CSS pixels: the height of text, and an upper estimate of the mean width of a letter."""
INK, SOFT = "var(--ink)", "var(--line)"
RIGHT, BELOW = 17, 34
"""CSS pixels of space to the right of the axes, and below them."""
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """From values to places, 0 to 1."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """The place of a value; outside 0 to 1 if it is outside the scale."""
        if self.log:
            return (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        return (value - self.low) / (self.high - self.low)

    @classmethod
    def of(cls, values: Iterable[float], from_zero: bool = False, log: bool = False, room: float = 0.05) -> "Scale":
        """A scale that contains these values, except NaN and infinity, with a margin."""
        known = [value for value in values if isfinite(value) and (value > 0 or not log)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        if log:
            low, high = (low, high) if high > low else (low / 2, high * 2)
            return cls(low / (high / low) ** room, high * (high / low) ** room, log=True)
        low = min(0.0, low) if from_zero else low
        spread = high - low or abs(high) or 1.0
        return cls(low if from_zero else low - room * spread, high + room * spread)

    def ticks(self, most: int = 6, whole: bool = False) -> list[float]:
        """Round values within the scale, about `most` of them.

        Args:
            whole: only whole numbers.
        """
        if self.log:
            powers = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            for parts in ((1,), (1, 2, 5)):
                found = [part * 10.0**power for power in powers for part in parts]
                found = [value for value in found if self.low <= value <= self.high]
                if len(found) > 1:
                    break
            return found[:: -(-len(found) // most) or 1]
        step = _step((self.high - self.low) / most)
        step = max(1.0, round(step)) if whole else step
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def _step(least: float) -> float:
    """The smallest round number that is at least this."""
    power = 10.0 ** floor(log10(least))
    return next((nice * power for nice in NICE if nice * power >= least * (1 - 1e-9)), 10 * power)


def numbers(values: Sequence[float], percent: bool = False) -> list[str]:
    """Labels of ticks, all with as many digits as are needed to distinguish them."""
    factor, sign = (100, "%") if percent else (1, "")
    for digits in range(7):
        words = [f"{value * factor:,.{digits}f}{sign}" for value in values]
        exact = all(abs(round(value * factor, digits) - value * factor) < 1e-9 for value in values)
        if exact and len(set(words)) == len(words):
            return [word.replace("-", "\N{MINUS SIGN}") for word in words]
    return [f"{value * factor:.3g}{sign}" for value in values]


@dataclass(frozen=True)
class Panel:
    """A rectangle with two scales, in which a plot is drawn."""

    left: float
    top: float
    width: float
    height: float
    x: Scale
    y: Scale

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a pair of values."""
        return self.left + self.width * self.x.place(x), self.top + self.height * (1 - self.y.place(y))

    def grid(self, ticks: Sequence[float], words: Sequence[str]) -> str:
        """A horizontal line at each tick of y, with its label on the left."""
        parts = []
        for tick, word in zip(ticks, words, strict=True):
            _, y = self.at(self.x.low, tick)
            parts.append(_line(self.left, y, self.left + self.width, y, SOFT, 0.6))
            parts.append(text(self.left - 5, y + TEXT * 0.36, word, "end"))
        return "".join(parts)

    def below(self, ticks: Sequence[float], words: Sequence[str], title: str = "") -> str:
        """The x axis, with a label at each tick, and a title."""
        foot = self.top + self.height
        parts = [_line(self.left, foot, self.left + self.width, foot, SOFT, 0.8)]
        parts += [text(self.at(tick, self.y.low)[0], foot + 14, word) for tick, word in zip(ticks, words, strict=True)]
        parts.append(text(self.left + self.width / 2, foot + 29, title) if title else "")
        return "".join(parts)

    def line(
        self, xs: Sequence[float], ys: Sequence[float], colour: str, dots: bool = False, dashed: bool = False
    ) -> str:
        """A line through all points, with gaps where y is not finite or not on the scale."""
        runs: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(xs, ys, strict=True):
            if isfinite(y) and (y > 0 or not self.y.log):
                runs[-1].append(self.at(x, y))
            elif runs[-1]:
                runs.append([])
        dash = ";stroke-dasharray:4 3" if dashed else ""
        style = f"fill:none;stroke:{colour};stroke-width:{1 if dashed else 1.6};stroke-linejoin:round{dash}"
        drawn = "".join(f'<polyline points="{_points(run)}" style="{style}"/>' for run in runs if len(run) > 1)
        alone = [run[0] for run in runs if len(run) == 1]
        return drawn + _dots([place for run in runs for place in run] if dots else alone, colour)

    def area(self, xs: Sequence[float], ys: Sequence[float], colour: str) -> str:
        """The area below a line."""
        if not xs:
            return ""
        foot = self.top + self.height
        places = [self.at(x, y) for x, y in zip(xs, ys, strict=True)]
        around = [(places[0][0], foot), *places, (places[-1][0], foot)]
        return f'<polygon points="{_points(around)}" style="fill:{colour};opacity:.15"/>'

    def bars(self, lefts: Sequence[float], width: float, heights: Sequence[float], colour: str, opacity: float) -> str:
        """Bars that begin at `lefts`, with their width in values of x."""
        foot, parts = self.top + self.height, []
        for left, height in zip(lefts, heights, strict=True):
            if height > 0:
                x, y = self.at(left, height)
                wide = self.width * width / (self.x.high - self.x.low)
                parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{max(0, foot - y):.1f}"/>')
        return f'<g style="fill:{colour};opacity:{opacity}">{"".join(parts)}</g>'


def legend(names: Sequence[str], colours: Sequence[str], left: float) -> tuple[str, float]:
    """Names next to strokes of their colours, in as many rows as needed; and the height of these."""
    x, y, parts = left, 10.0, []
    for name, colour in zip(names, colours, strict=False):
        wide = 24 + LETTER * len(name)
        if x > left and x + wide > WIDTH:
            x, y = left, y + 16
        parts += [_line(x, y - 4, x + 14, y - 4, colour, 2), text(x + 18, y, name, "start")]
        x += wide + 8
    return "".join(parts), y + 8


def text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    """Text at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def sideways(y: float, words: str) -> str:
    """Text along the left edge, from bottom to top."""
    return f'<text transform="translate(10 {y:.1f}) rotate(-90)" text-anchor="middle">{escape(words)}</text>'


def svg(height: float, *parts: str) -> str:
    """The whole drawing; the page decides its width."""
    style = f"font-size:{TEXT}px;fill:{INK}"
    around = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" style="{style}">'
    return "".join((around, *parts, "</svg>"))


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    style = f"stroke:{colour};stroke-width:{width}"
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" style="{style}"/>'


def _dots(places: Sequence[tuple[float, float]], colour: str) -> str:
    circles = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in places)
    return f'<g style="fill:{colour}">{circles}</g>' if places else ""


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
