"""The values of a table of pixels: labels, splits and pixels of all its lines, as arrays.

numpy reads a table with a column for each pixel; only if it fails, the file is read line by line to find the wrong
line. Pixels in one column are read line by line.
"""

import csv
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.pixel_values import Values, as_bytes
from vouch.sources.table_columns import TableColumns
from vouch.sources.text_tables import MAX_LINE_BYTES, Writing, is_number, rows_of

PIXEL = "expected a whole number from 0 to 255, or in all lines 0.0 to 1.0 in steps of 1/255, with a decimal point"


@dataclass(frozen=True, eq=False)
class TableValues:
    """All lines of a table."""

    labels: list[str]
    splits: list[str]
    """Each line's split; empty without a column of splits."""
    pixels: np.ndarray
    """uint8, shape (N, P), in the order of the columns."""
    said: list[str]
    """A note on the conversion of the pixels, if they were not 0 to 255."""


Read = tuple[np.ndarray, dict[int, list[str]]]
"""The pixels, shape (N, P), and the text of the other columns by position."""


def read_values(path: Path, columns: TableColumns, writing: Writing, pixels: int) -> TableValues:
    """All lines of a table.

    Args:
        pixels: P, the number per line.

    Raises:
        SourceError: a line is not a label and P pixels, or a column without a name does not number the lines.
        UnicodeDecodeError, csv.Error, OSError: while reading.
    """
    read = _read_packed if columns.packed else _read_wide
    said: list[str] = []
    try:
        table, others = read(path, columns, writing, pixels, np.dtype(np.uint8))
    except (ValueError, DeprecationWarning) as err:
        if isinstance(err, UnicodeDecodeError):
            raise
        try:
            table, others = read(path, columns, writing, pixels, np.dtype(np.float32))
            seen = Values(table.dtype)
            seen.add(table)
            factor = seen.factor(str(path))
        except (ValueError, DeprecationWarning, SourceError):
            raise _first_bad_line(path, columns, writing, pixels) or SourceError(
                f"{path} cannot be read as a table: {err}"
            ) from err
        table, said = as_bytes(table, factor), seen.in_words(factor)
    if columns.index is not None:
        _check_index(path, others[columns.index])
    splits = [value.strip() for value in others[columns.split]] if columns.split is not None else []
    return TableValues([label.strip() for label in others[columns.label]], splits, table, said)


def _read_wide(path: Path, columns: TableColumns, writing: Writing, _pixels: int, dtype: np.dtype) -> Read:
    """Raises ValueError or DeprecationWarning if a value is not of this type."""
    record = np.dtype(
        [
            (str(first), *((dtype, (count,)) if is_pixels else (object,)))  # adjacent columns are read as one
            for is_pixels, first, count in _runs(columns)
        ]
    )
    options: dict[str, Any] = {"delimiter": writing.separator, "comments": None, "quotechar": '"'}
    skipped = max(writing.skipped, columns.header_lines)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy before 2.4 cuts 0.9 to 0, with this warning
        table = np.loadtxt(path, record, skiprows=skipped, ndmin=1, encoding=writing.encoding, **options)
    parts = [table[str(first)] for is_pixels, first, _ in _runs(columns) if is_pixels]
    others = {first: list(table[str(first)]) for is_pixels, first, _ in _runs(columns) if not is_pixels}
    return np.ascontiguousarray(np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]), others


def _runs(columns: TableColumns) -> list[tuple[bool, int, int]]:
    """The columns from left to right: whether they are pixels, the first position, and how many; others one by one."""
    of_pixels = set(columns.pixels)
    runs: list[tuple[bool, int, int]] = []
    for column in range(columns.count):
        if column in of_pixels and runs and runs[-1][0]:
            runs[-1] = (True, runs[-1][1], runs[-1][2] + 1)
        else:
            runs.append((column in of_pixels, column, 1))
    return runs


def _read_packed(path: Path, columns: TableColumns, writing: Writing, pixels: int, dtype: np.dtype) -> Read:
    """As `_read_wide`, for pixels in one column."""
    others: dict[int, list[str]] = {column: [] for column in range(columns.count) if column not in columns.pixels}

    def lines() -> Iterator[str]:
        for _, row in _examples(path, columns, writing):
            if len(row) != columns.count:
                raise ValueError("a line has another length")
            for column, values in others.items():
                values.append(row[column])
            yield _bare(row[columns.pixels[0]])

    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # as above
        table = np.loadtxt(lines(), dtype, comments=None, ndmin=2)
    if table.shape != (len(others[columns.label]), pixels):
        raise ValueError("a line has another number of pixels, or none")
    return table, others


def unpacked(value: str) -> list[str]:
    """The numbers in one value, as text separated by blanks; they may be separated by commas, or in brackets."""
    return _bare(value).split()


def _bare(value: str) -> str:
    return value.strip().removeprefix("[").removesuffix("]").replace(",", " ")


def _examples(path: Path, columns: TableColumns, writing: Writing) -> Iterator[tuple[int, list[str]]]:
    """The rows after the header, each with the number of its last line."""
    with path.open(encoding=writing.encoding, newline="") as file, long_fields():
        yield from ((line, row) for line, row in rows_of(file, writing) if line > columns.header_lines)


@contextmanager
def long_fields() -> Iterator[None]:
    """Allows values as long as a line inside the block."""
    before = csv.field_size_limit(MAX_LINE_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _first_bad_line(path: Path, columns: TableColumns, writing: Writing, pixels: int) -> SourceError | None:
    """The error of the first line with another length or with a value that is not a number; else of a wrong pixel."""
    for is_pixel in (is_number, _is_byte):
        for line, row in _examples(path, columns, writing):
            if len(row) != columns.count:
                return SourceError(
                    f"{path}, line {line}: {len(row):,} values; expected {columns.count:,} as in the first row"
                )
            places = (
                enumerate(unpacked(row[columns.pixels[0]]))
                if columns.packed
                else ((column, row[column]) for column in columns.pixels)
            )
            found = list(places)
            if len(found) != pixels:
                return SourceError(
                    f"{path}, line {line}: {len(found):,} pixels; expected {pixels:,} as in the first line"
                )
            if wrong := next(((place, value) for place, value in found if not is_pixel(value)), None):
                unit = "pixel" if columns.packed else "column"
                return SourceError(
                    f"{path}, line {line}, {unit} {wrong[0] + 1}: {wrong[1][:20]!r} is not a pixel; {PIXEL}"
                )
    return None


def _is_byte(value: str) -> bool:
    digits = value.strip()
    return digits.isascii() and digits.isdecimal() and int(digits[:20]) <= 255


def _check_index(path: Path, values: list[str]) -> None:
    """
    Raises:
        SourceError: a column without a name does not number the lines.
    """
    first = int(values[0]) if values[0].strip().isdecimal() else -1
    if any(value.strip() != str(first + row) for row, value in enumerate(values)):
        raise SourceError(
            f"{path} has a first column without a name that does not number the lines ({', '.join(values[:3])}, ...); "
            "name it label if it has the labels, or remove it"
        )
