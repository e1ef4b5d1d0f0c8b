"""Formats numbers and words for the page."""

from collections.abc import Sequence


def share(value: float | None, digits: int = 2) -> str:
    """A share in per cent, or a dash if there is none. Never rounded up to 100 or down to 0."""
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:.{digits}%}"
    if value < 1 and float(text[:-1]) == 100:
        return f">{100 - 10.0**-digits:.{digits}f}%"
    if value > 0 and float(text[:-1]) == 0:
        return f"<{10.0**-digits:.{digits}f}%"
    return text


def short(name: str, most: int = 22) -> str:
    """A name, without its middle if it is too long: names often differ at their ends."""
    if len(name) <= most:
        return name
    end = most // 2 - 1
    return f"{name[: most - 1 - end]}\N{HORIZONTAL ELLIPSIS}{name[-end:]}"


def signed(value: float, digits: int = 2) -> str:
    """A number with a proper minus sign."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: float) -> str:
    """A whole number with separators."""
    return f"{round(value):,}"


def sentence(words: str) -> str:
    """The words with a capital letter and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def seconds(value: float) -> str:
    """A duration in a suitable unit."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 120:
        return f"{value:.1f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def speed(value: float) -> float:
    """A rate rounded to three digits; further digits change from run to run."""
    return float(f"{value:.3g}")


def listed(words: Sequence[str]) -> str:
    """Words joined by commas and "and"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
