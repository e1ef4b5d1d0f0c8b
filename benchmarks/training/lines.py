"""The lines of the table: the data, the number of runs, and the targets. Runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

SVM, NEIGHBOURS, COPIED = "svm", "neighbours", "copied"
"""What is fitted to the same images, beside ours; the last is the widely copied network of benchmarks/peer.py."""


@dataclass(frozen=True)
class Line:
    """One way of training on one set of images."""

    name: str
    set: str
    """Of benchmarks/training/data.py."""
    right: float
    """Mean share of right answers on the validation split to reach."""
    within_s: float
    """Mean time of the whole command to keep within."""
    options: tuple[str, ...] = ()
    """Words for `vouch train` beside the data and the seed; none: default settings."""
    repeats: int = 5
    """Seeds; where the data have no splits of their own, each seed makes other ones."""
    beside: tuple[str, ...] = ()


LINES = (
    Line("photographs", "photographs", 0.96, 60),
    Line("digits", "digits", 0.99, 20, repeats=10, beside=(SVM, NEIGHBOURS)),
    Line("MNIST, 5 a class", "few", 0.825, 10, beside=(SVM, NEIGHBOURS)),
    Line("MNIST, 20 a class", "few", 0.951, 10, beside=(SVM, NEIGHBOURS)),
    Line("MNIST, 50 a class", "few", 0.976, 10, beside=(SVM, NEIGHBOURS)),
    Line("MNIST, 200 a class", "few", 0.981, 10, beside=(SVM, NEIGHBOURS)),
    Line("MNIST, linear", "mnist", 0.925, 10, ("--model", "linear"), beside=(COPIED,)),
    Line("MNIST, mlp", "mnist", 0.986, 25, ("--model", "mlp"), beside=(COPIED,)),
    Line("MNIST", "mnist", 0.9968, 150, beside=(COPIED,)),
    Line("MNIST, best", "mnist", 0.998, 300, ("--preset", "best"), repeats=3, beside=(COPIED,)),
    Line("Fashion-MNIST", "fashion", 0.935, 300),
)
SETS = tuple(dict.fromkeys(line.set for line in LINES))


def chosen(names: Sequence[str], repeats: int | None = None) -> list[tuple[Line, int]]:
    """What is to be run: a line and a seed each, all with one seed before any with the next.

    Args:
        names: of sets or of lines; none: all.
        repeats: of each line at most; None: as many as it has.
    """
    lines = [line for line in LINES if not names or line.set in names or line.name in names]
    counts = [line.repeats if repeats is None else min(repeats, line.repeats) for line in lines]
    turns = range(max(counts, default=0))
    return [(line, seed) for seed in turns for line, count in zip(lines, counts, strict=True) if seed < count]


def images_a_class(line: Line) -> int:
    """Of a line of the set `few`: 20 of `MNIST, 20 a class`."""
    return int(line.name.split()[1])
