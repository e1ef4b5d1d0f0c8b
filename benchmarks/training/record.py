"""The record in docs/measured/training.json: it has one writer, and each run is stored when it is done.

A run is repeated only if the code, the machine or the line's options have changed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measured import only_writer

Entry = dict[str, Any]
"""A run of ours has `line`, `seed`, `where` and what it came to; what is fitted beside it stands in its `beside`."""
SAME = ("options", "commit", "machine", "libraries")
"""What must be the same for a run to count as done."""


class Record:
    """The runs of all lines, and the copied network's epochs."""

    def __init__(self, path: Path) -> None:
        """Reads what is there; nothing yet is no error."""
        self._path = path
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.runs: list[Entry] = kept.get("runs", [])
        self.copied: list[Entry] = kept.get("copied", [])
        """One for each device, with its `epochs`."""

    def of(self, line: str, device: str) -> list[Entry]:
        """The runs of a line, by seed."""
        found = [run for run in self.runs if (run["line"], run["device"]) == (line, device)]
        return sorted(found, key=lambda run: int(run["seed"]))

    def copied_on(self, device: str) -> Entry | None:
        """The copied network's course."""
        return next((entry for entry in self.copied if entry["device"] == device), None)

    def has(self, asked: Entry) -> bool:
        """Whether this run is done, with the same code on the same machine."""
        return any(_key(run) == _key(asked) and all(run[name] == asked[name] for name in SAME) for run in self.runs)

    def keep(self, run: Entry) -> None:
        """In place of an older one of the same line, seed and device."""
        self.runs = sorted([*(one for one in self.runs if _key(one) != _key(run)), run], key=_key)
        self._write()

    def keep_copied(self, course: Entry) -> None:
        """In place of an older one on this device."""
        self.copied = [*(one for one in self.copied if one["device"] != course["device"]), course]
        self._write()

    def _write(self) -> None:
        """Whole or not at all."""
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"runs": self.runs, "copied": self.copied}, indent=1) + "\n")
        unfinished.replace(self._path)


def _key(run: Entry) -> tuple[str, str, int]:
    return run["line"], run["device"], run["seed"]


@contextmanager
def writing(path: Path) -> Iterator[Record]:
    """The record, for its only writer. Raises SystemExit: another one writes it."""
    with only_writer(path):
        yield Record(path)
