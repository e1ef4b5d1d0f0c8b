"""Images as lines of numbers: .csv files with a label and the pixels, one per column or all in one.

A header names the column of labels. Without a header it is the first, or the last if only that has words.
"""

import csv
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.image_kinds import is_image
from vouch.sources.labels import make_source
from vouch.sources.split_names import SplitName, how_taken, splits_of
from vouch.sources.table_columns import PACKED, TableColumns, columns_of
from vouch.sources.table_labels import check_place, whole_numbers
from vouch.sources.table_shape import TableShape, shape_of
from vouch.sources.table_values import TableValues, long_fields, read_values, unpacked
from vouch.sources.text_tables import (
    SEPARATORS,
    UTF8,
    Rows,
    Writing,
    check_lines,
    encoding_of,
    is_number,
    is_western,
    rows_of,
    said_separator,
)
from vouch.sources.wanted import NOTHING, Wanted

MAX_LABEL = 200  # characters; labels become an array as wide as the longest
MAX_VALUE = 10_000
"""The most characters of a value in a table with a column for each pixel."""
FIRST_ROWS = 3
"""The separator and the columns are found from this many rows."""


def read_csv(name: str, path: Path, wanted: Wanted = NOTHING) -> Source:
    """The source in a .csv file, split if it has a column of splits.

    Args:
        wanted: size, channels and the order of axes, as far as they are known; else images are square, and grey if
            possible.

    Raises:
        SourceError: not such a file, a header without a column of labels, a line that is not a label and as many
            pixels as the others, or a number of pixels that does not fit the size.
    """
    table = _read_speaking(path, wanted)
    columns, values = table.columns, table.values
    texts, floats = whole_numbers(values.labels)
    _check_labels(path, texts, columns.label)
    if not columns.header_lines and not columns.label and not columns.packed:
        check_place(str(path), texts, values.pixels)
    images, labels = table.shape.of(values.pixels), np.array(texts)
    said = [*table.writing.in_words(), *values.said, *floats, table.shape.note]
    said += [f"ignored: {', '.join(columns.aside)}"] if columns.aside else []
    notes = [columns.note, *([f"{path.name}: {'; '.join(filter(None, said))}"] if any(said) else [])]
    splits = splits_of(values.splits, f"the column of splits in {path}")
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {}
    for called, split in splits.items():
        chosen = np.array([one == called for one in values.splits])
        parts[split] = images[chosen], labels[chosen]
    source = make_source(name, parts or {"all": (images, labels)})
    return replace(source, notes=(*notes, *([how_taken(splits)] if splits else [])))


@dataclass(frozen=True, eq=False)
class _Table:
    """A table, with its columns and its encoding."""

    columns: TableColumns
    shape: TableShape
    writing: Writing
    values: TableValues


def _read_speaking(path: Path, wanted: Wanted) -> _Table:
    try:
        check_lines(path)
        return _read_in_any_encoding(path, wanted)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except UnicodeError as err:
        reason = err.reason if isinstance(err, UnicodeDecodeError) else err
        raise SourceError(f"{path} is not a text file in UTF-8 ({reason}); save it as CSV in UTF-8") from err
    except csv.Error as err:
        raise SourceError(f"{path} is not a CSV file: {err}") from err


def _read_in_any_encoding(path: Path, wanted: Wanted) -> _Table:
    """Reads the table in the encoding that the first bytes show; else as Windows-1252, if its labels look like that."""
    encoding = encoding_of(path)
    try:
        return _read(path, wanted, encoding)
    except UnicodeDecodeError as err:
        if encoding != UTF8:
            raise
        try:
            table = _read(path, wanted, "cp1252")
        except (UnicodeDecodeError, csv.Error, SourceError):
            raise err from None
        if not is_western(" ".join(set(table.values.labels))):
            raise
        return table


def _read(path: Path, wanted: Wanted, encoding: str) -> _Table:
    writing, rows = _look_at_start(path, encoding)
    columns = _columns(path, rows)
    first = rows[bool(columns.header_lines)][1]
    pixels = len(unpacked(first[columns.pixels[0]])) if columns.packed else len(columns.pixels)
    shape = shape_of(str(path), pixels, columns.names, wanted)
    return _Table(columns, shape, writing, read_values(path, columns, writing, pixels))


def _look_at_start(path: Path, encoding: str) -> tuple[Writing, Rows]:
    """The table's encoding and separator, and its first rows, at least one.

    Raises:
        SourceError: it has no rows.
    """
    with path.open(encoding=encoding, newline="") as file, long_fields():
        said = said_separator(file.readline())
        tried: list[tuple[Writing, Rows]] = []
        for separator in (said,) if said else SEPARATORS:
            file.seek(0)
            writing = Writing(encoding, separator, skipped=int(bool(said)))
            tried.append((writing, list(islice(rows_of(file, writing), FIRST_ROWS))))
    if not any(rows for _, rows in tried):
        raise SourceError(f"{path} is empty; expected lines of a label and its pixels")
    return max(tried, key=lambda one: _fits(one[1]))


def _fits(rows: Rows) -> tuple[int, int]:
    """How well a separator fits: rows of equal length, and numbers, also with a decimal comma."""
    alike = sum(len(row) == len(rows[0][1]) > 1 for _, row in rows)
    return alike, sum(is_number(value.replace(",", ".")) for value in rows[-1][1]) if rows else 0


def _columns(path: Path, rows: Rows) -> TableColumns:
    """The table's columns.

    Raises:
        SourceError: as `columns_of`; or it is a list of files.
    """
    values = [value.strip() for _, row in rows for value in row]
    if any(map(is_image, values)) and not any(map(PACKED.fullmatch, values)):
        raise SourceError(
            f"{path} is a list of files, not a table of pixels; put it into the folder that it lists, and pass that "
            "folder"
        )
    columns = columns_of(str(path), rows)
    if not columns.packed and any(len(value) > MAX_VALUE for _, row in rows for value in row):
        raise csv.Error(f"field larger than {MAX_VALUE:,} characters")
    return columns


def _check_labels(path: Path, labels: list[str], column: int) -> None:
    """Checks that labels are names or whole numbers: -1, 3.0 and 1e5 are more likely a missing label or a pixel."""
    for label in set(labels):
        if len(label) > MAX_LABEL or (is_number(label) and not label.isdecimal()):
            raise SourceError(
                f"{path}: the label of example {labels.index(label) + 1:,} is {label[:20]!r}; expected a whole number "
                f"from 0, or a name of up to {MAX_LABEL} characters, in column {column + 1:,}"
            )
