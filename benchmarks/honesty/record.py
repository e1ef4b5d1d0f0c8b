"""The results in docs/measured/honesty.json: for each cell, sums over its resamplings, which are numbered from 0.

Blocks are added in order, so an interrupted measurement continues with the next number. Results of other code or of
another machine are discarded.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.honesty.promises import Figures
from benchmarks.measured import only_writer

DIGITS = 6
"""Of a sum, that are kept."""


@dataclass
class Found:
    """A figure over the resamplings that have it."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")

    def add(self, value: float) -> None:
        """One more resampling's."""
        self.count, self.total, self.least = self.count + 1, self.total + value, min(self.least, value)

    @property
    def mean(self) -> float:
        """Over the resamplings that have it."""
        return self.total / self.count


@dataclass
class CellRecord:
    """What was found of a cell."""

    where: dict[str, str] = field(default_factory=dict)
    """Code, machine and libraries."""
    resamplings: int = 0
    seconds: float = 0.0
    """Of a core, for all of them together."""
    figures: dict[str, Found] = field(default_factory=dict)

    def add(self, rows: Sequence[Figures], seconds: float) -> None:
        """The next resamplings."""
        for row in rows:
            for name, value in row.items():
                self.figures.setdefault(name, Found()).add(value)
        self.resamplings += len(rows)
        self.seconds += seconds

    def as_json(self) -> dict[str, Any]:
        """Of each figure how many resamplings have it, the sum over them, and the least."""
        figures = {
            name: [found.count, round(found.total, DIGITS), round(found.least, DIGITS)]
            for name, found in self.figures.items()
        }
        return {
            "where": self.where,
            "resamplings": self.resamplings,
            "seconds": round(self.seconds, 1),
            "figures": figures,
        }

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> "CellRecord":
        """As `as_json` gives it."""
        figures = {name: Found(*values) for name, values in kept["figures"].items()}
        return cls(kept["where"], kept["resamplings"], kept["seconds"], figures)


class Record:
    """All cells, by their names."""

    def __init__(self, path: Path) -> None:
        """Reads what is there; nothing yet is no error."""
        self._path = path
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.cells = {name: CellRecord.of_json(cell) for name, cell in kept.items()}

    def begin(self, names: Sequence[str], where: dict[str, str]) -> dict[str, int]:
        """Forgets what was found of these elsewhere, or by other code; resamplings of each that are still good."""
        for name in names:
            if name not in self.cells or self.cells[name].where != where:
                self.cells[name] = CellRecord(where)
        return {name: self.cells[name].resamplings for name in names}

    def add(self, name: str, rows: Sequence[Figures], seconds: float) -> None:
        """The next resamplings of a cell that was begun."""
        self.cells[name].add(rows, seconds)
        self._write()

    def _write(self) -> None:
        """Whole or not at all; a line a cell."""
        lines = [
            f"{json.dumps(name)}: {json.dumps(cell.as_json())}" for name, cell in self.cells.items() if cell.resamplings
        ]
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        unfinished.replace(self._path)


@contextmanager
def writing(path: Path) -> Iterator[Record]:
    """The record, for its only writer. Raises SystemExit: another one writes it."""
    with only_writer(path):
        yield Record(path)
