"""The cells to resample: a model, images per class, the number of resamplings; and their order. Runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["linear", "cnn", "insects"]
"""The first two learn MNIST from scratch, the last a head on features of photographs."""


@dataclass(frozen=True)
class Cell:
    """One model, and so many images of each class to learn from."""

    kind: Kind
    a_class: int
    resamplings: int
    beside: int
    """Of these, the first, in which what others do with the same images is counted too."""
    block: int
    """Resamplings that one process makes and hands over together: about ten seconds."""

    @property
    def name(self) -> str:
        """In the record."""
        return f"{self.kind} {self.a_class}"

    def blocks(self, most: int | None, done: int = 0) -> list[range]:
        """The numbers of the resamplings that are still to be made.

        Args:
            most: resamplings in all; None: as many as the cell has.
            done: so many, the first, are made.
        """
        count = self.resamplings if most is None else min(most, self.resamplings)
        return [range(start, min(start + self.block, count)) for start in range(done, count, self.block)]


CELLS = (
    Cell("linear", 10, 1000, 40, 10),
    Cell("linear", 20, 1000, 40, 10),
    Cell("linear", 50, 1000, 40, 10),
    Cell("linear", 200, 1000, 20, 5),
    Cell("linear", 1000, 200, 6, 2),
    *(Cell("cnn", a_class, 20, 20, 1) for a_class in (10, 20, 50, 200, 1000)),
    *(Cell("insects", a_class, 1000, 40, 10) for a_class in (10, 20, 50)),
)
KINDS: tuple[Kind, ...] = ("linear", "cnn", "insects")


def chosen(kinds: Sequence[str] = (), sizes: Sequence[int] = ()) -> list[Cell]:
    """Of all cells those of these kinds and images a class; none named: all."""
    return [cell for cell in CELLS if cell.kind in (kinds or KINDS) and cell.a_class in (sizes or (cell.a_class,))]


def in_turns(cells: Sequence[Cell], most: int | None, done: dict[str, int]) -> list[tuple[Cell, range]]:
    """All blocks, so that at any time about the same share of every cell is made.

    Args:
        most: resamplings of each cell.
        done: resamplings that are made, by a cell's name.
    """
    jobs = [(cell, block) for cell in cells for block in cell.blocks(most, done.get(cell.name, 0))]
    return sorted(jobs, key=lambda job: job[1].start / job[0].resamplings)
