"""The name of an example, so that a person can find it: its file, or its position in an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, eq=False)
class Names:
    """The names of examples, in order. Selections share its content."""

    array: str = "images"
    """Without files, the prefix of the position: `validation` gives `validation[17]`."""
    folder: Path | None = None
    """Paths start from this folder."""
    files: Sequence[str] | None = None
    """Paths below the folder."""
    rows: np.ndarray | None = None
    """Positions of the files, or in the array, int64; None: all."""

    def __getitem__(self, row: int) -> str:
        """The name, with unprintable characters replaced."""
        at = self._at(row)
        name = f"{self.array}[{at}]" if self.files is None else self.files[at]
        return name if name.isprintable() else "".join(c if c.isprintable() else UNPRINTABLE for c in name)

    def path(self, row: int) -> Path | None:
        """The file; None in an array."""
        return None if self.folder is None or self.files is None else self.folder / self.files[self._at(row)]

    def those(self, rows: np.ndarray | slice, count: int) -> "Names":
        """The names of some examples.

        Args:
            rows: positions, or bool of shape (N,), or a slice.
            count: N, the number of examples before.
        """
        before = np.arange(count) if self.rows is None else self.rows
        return Names(self.array, self.folder, self.files, before[rows])

    def _at(self, row: int) -> int:
        return row if self.rows is None else int(self.rows[row])
