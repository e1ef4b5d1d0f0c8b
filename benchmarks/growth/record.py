"""What was measured, in docs/measured/growth.json: each point is kept as soon as it is done.

A point is measured again only where the code or the machine is no longer what it was.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measured import only_writer

Point = dict[str, Any]
"""`curve`, `size`, `commit`, `machine`, `others` and `figures`; `failed` in place of these where there is no point."""


class Record:
    """The points of all curves."""

    def __init__(self, path: Path) -> None:
        """Reads what is there; nothing yet is no error."""
        self._path = path
        self.points: list[Point] = json.loads(path.read_text())["points"] if path.exists() else []

    def of(self, curve: str) -> list[Point]:
        """Its points by size, those that failed too."""
        return sorted((one for one in self.points if one["curve"] == curve), key=lambda one: int(one["size"]))

    def has(self, asked: Point) -> bool:
        """Whether this point is measured, with the same code on the same machine."""
        found = [one for one in self.points if all(one[name] == asked[name] for name in asked)]
        return any("failed" not in one for one in found)

    def keep(self, point: Point) -> None:
        """In place of an older one of the same curve and size."""
        self.points = sorted([*(one for one in self.points if _key(one) != _key(point)), point], key=_key)
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"points": self.points}, indent=1) + "\n")
        unfinished.replace(self._path)


def _key(point: Point) -> tuple[str, int]:
    return point["curve"], point["size"]


@contextmanager
def writing(path: Path) -> Iterator[Record]:
    """The record, for its only writer. Raises SystemExit: another one writes it."""
    with only_writer(path):
        yield Record(path)
