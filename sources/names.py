"""What an example is called, so that a person finds it: its file, or its place in an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, eq=False)
class Names:
    """The names of examples, in their order. What it holds is shared by all that are chosen from it."""

    array: str = "images"
    """What the place is counted in where there are no files: `validation` gives `validation[17]`."""
    folder: Path | None = None
    """Where the files' paths begin."""
    files: Sequence[str] | None = None
    """Paths from the folder on."""
    rows: np.ndarray | None = None
    """Which files, or places in the array, int64; None: all of them."""

    def __getitem__(self, row: int) -> str:
        """For people: characters that cannot be shown are replaced."""
        at = self._at(row)
        name = f"{self.array}[{at}]" if self.files is None else self.files[at]
        return name if name.isprintable() else "".join(c if c.isprintable() else UNPRINTABLE for c in name)

    def path(self, row: int) -> Path | None:
        """The file itself; None in an array."""
        return None if self.folder is None or self.files is None else self.folder / self.files[self._at(row)]

    def those(self, rows: np.ndarray | slice, count: int) -> "Names":
        """The names of some examples.

        Args:
            rows: positions, or bool of shape (N,), or a slice.
            count: N, how many there are now.
        """
        before = np.arange(count) if self.rows is None else self.rows
        return Names(self.array, self.folder, self.files, before[rows])

    def _at(self, row: int) -> int:
        return row if self.rows is None else int(self.rows[row])
