"""Labels of a table of pixels: numbers as classes, and a check that the right column was used.

Pure: it gets the values.
"""

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.text_tables import is_number


def whole_numbers(labels: list[str]) -> tuple[list[str], list[str]]:
    """Labels such as 3.0 and 3.000e+00 as 3, if all are such numbers; and a note for the user."""
    known = {label: float(label) if is_number(label) else -1.0 for label in set(labels)}
    if any(label.isdecimal() for label in known) or not all(one >= 0 and one == round(one) for one in known.values()):
        return labels, []
    return [str(int(known[label])) for label in labels], ["labels: whole numbers stored as floats"]


def check_place(where: str, labels: list[str], pixels: np.ndarray) -> None:
    """Checks whether the labels of a table without a header could be in the last column instead of the first.

    Args:
        where: the file's name in messages.
        pixels: uint8, shape (N, P), in the order of the columns.

    Raises:
        SourceError: the last column counts classes, and the first does not; or all pixels are 0 and 1, and so is the
            first column.
    """
    if not all(label.isdecimal() and len(label) < 10 for label in set(labels)):
        return
    first, last = np.unique(np.array(labels, dtype=np.int64)), np.unique(pixels[:, -1])
    of_pixels = pixels[:, :-1].max(initial=0) <= 1 and first[-1] <= 1
    if _count(last, len(labels)) and (of_pixels or not _count(first, len(labels))):
        raise SourceError(
            f"{where} has no header, and its labels may be in the first column ({_shown(first)}) or in the last "
            f"({_shown(last)}); add a first line with a name for each column, and name the right one label"
        )


def _count(values: np.ndarray, examples: int) -> bool:
    """Whether these are classes 0, 1, 2 ..., or 1, 2, 3 ..., with two examples each."""
    expected = np.arange(len(values)) + min(int(values[0]), 1)
    return 2 <= len(values) <= examples / 2 and bool((values == expected).all())


def _shown(values: np.ndarray) -> str:
    return ", ".join(map(str, values[:4].tolist())) + (", ..." if len(values) > 4 else "")
