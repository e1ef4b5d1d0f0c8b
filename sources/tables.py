"""Images as lines of numbers: .csv files with a label and the pixels row by row.

A header says which column is the label; without one it is the first. numpy reads the table; only where it refuses is
the file gone through line by line, to say which line is at fault.
"""

import csv
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.labels import make_source

LABEL_COLUMN = ("label", "class", "target", "y")
"""How a header calls the column of labels, in any case."""
MAX_LABEL = 200  # characters; labels become an array as wide as the longest
ENCODING = "utf-8-sig"  # UTF-8, with or without the mark that spreadsheets write first


@dataclass(frozen=True)
class _Columns:
    """What the lines of a table mean."""

    header_lines: int
    """Lines before the first example."""
    count: int
    label: int
    """Which column is the label, from 0; the others are pixels in their order."""
    note: str
    """How that is known."""


def read_csv(name: str, path: Path, size: tuple[int, int] | None = None) -> Source:
    """The source in a .csv file, not split.

    Args:
        size: height and width of the images; None: they are square.

    Raises:
        SourceError: not such a file, a header that does not name the column of labels, a line that is not a label and
            as many pixels from 0 to 255 as the others have, or pixels that do not make up images of this size.
    """
    try:
        columns = _look_at_start(path)
        height, width = _image_size(path, columns.count - 1, size)
        table = _read_table(path, columns)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except UnicodeDecodeError as err:
        raise SourceError(f"{path} is not a text file in UTF-8 ({err.reason}); save it as CSV in UTF-8") from err
    except csv.Error as err:
        raise SourceError(f"{path} is not a CSV file: {err}") from err
    pixels = [table[part] for part in ("before", "after") if part in (table.dtype.names or ())]
    images = np.ascontiguousarray(np.concatenate(pixels, axis=1) if len(pixels) > 1 else pixels[0])
    labels = [label.strip() for label in table["label"]]
    _check_labels(path, labels, columns.label)
    source = make_source(name, {"all": (images.reshape(-1, height, width), np.array(labels))})
    return replace(source, notes=(columns.note,))


def _look_at_start(path: Path) -> _Columns:
    """
    Raises:
        SourceError: no example, or a header that does not say which column is the label.
    """
    with path.open(encoding=ENCODING, newline="") as file:
        rows = list(islice(_rows(file), 2))
    if not rows:
        raise SourceError(f"{path} is empty; expected lines of a label and its pixels")
    names = [name.strip(" \t\"'\ufeff") for name in rows[0][1]]
    second = rows[1][1] if len(rows) > 1 else []
    if not _is_header(names, second):
        return _Columns(0, len(names), 0, "labels: the first column, because there is no header")
    label = _label_column(path, names)
    if not second:
        raise SourceError(f"{path} has a header but no examples; expected lines of a label and its pixels")
    if len(second) != len(names):
        raise SourceError(
            f"{path}: the header names {len(names):,} columns, but line {rows[1][0]} has {len(second):,} values; "
            "expected a name for each"
        )
    _check_pixel_names(path, [name for column, name in enumerate(names) if column != label])
    note = f"labels: column {label + 1:,} of {len(names):,}, {names[label]}"
    return _Columns(rows[0][0], len(names), label, note)


def _rows(file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its last line, counted from 1."""
    reader = csv.reader(file)
    return ((reader.line_num, row) for row in reader if row)


def _is_header(names: list[str], second: list[str]) -> bool:
    """Whether a first row names the columns: all are words, one is called as labels are, or columns are counted.

    The label of a first example may be called so too, as long as pixels follow that do not count.
    """
    if len(names) > 1 and not any(_is_number(name) for name in names[1:]):
        return True
    if any(map(_names_label, names[1:])) or (len(names) >= 10 and _counts_up(names)):
        return True
    words_over_numbers = bool(second) and _is_number(second[0])
    surely = _names_label(names[0]) or len(names) > 10 or words_over_numbers
    return _counts_up(names[1:]) and not _is_number(names[0]) and surely


def _names_label(name: str) -> bool:
    return name.lower() in LABEL_COLUMN


def _label_column(path: Path, names: list[str]) -> int:
    """
    Raises:
        SourceError: none of the columns is called a label, or several are.
    """
    found = [column for column, name in enumerate(names) if _names_label(name)]
    if len(found) == 1:
        return found[0]
    if found:
        both = " and ".join(f"{names[column]} (column {column + 1:,})" for column in found[:2])
        raise SourceError(f"{path} has two columns of labels, {both}; remove or rename one of them")
    first = ", ".join(name[:30] for name in names[:5]) + (", ..." if len(names) > 5 else "")
    raise SourceError(
        f"{path} begins with a header ({first}) that does not say which column is the label; call that column "
        f"{', '.join(LABEL_COLUMN[:-1])} or {LABEL_COLUMN[-1]}, or remove the header where the label comes first"
    )


def _check_pixel_names(path: Path, names: Sequence[str]) -> None:
    """
    Raises:
        SourceError: names with numbers are out of their order, or one is called like no other: an index, a split.
    """
    numbers = [tuple(map(int, re.findall(r"[0-9]{1,18}", name))) for name in names]
    forms = [re.sub(r"[0-9]+", "#", name) for name in names]
    usual, count = Counter(forms).most_common(1)[0]
    if "#" not in usual or count <= len(names) / 2:
        return  # names that say nothing of an order
    if others := [name for name, form in zip(names, forms, strict=True) if form != usual]:
        like = next(name for name, form in zip(names, forms, strict=True) if form == usual)
        raise SourceError(
            f"{path} has a column {others[0][:30]!r} among columns of pixels such as {like[:30]}; remove what is "
            "neither label nor pixel"
        )
    for (before, after), (first, second) in zip(pairwise(numbers), pairwise(names), strict=True):
        if after <= before:
            raise SourceError(
                f"{path} has its pixels out of order: {second[:30]} comes behind {first[:30]}; sort the columns by "
                "their numbers"
            )


def _counts_up(row: list[str]) -> bool:
    return any([field.strip() for field in row] == [str(start + i) for i in range(len(row))] for start in (0, 1))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _image_size(path: Path, pixels: int, size: tuple[int, int] | None) -> tuple[int, int]:
    if pixels < 1:
        raise SourceError(f"{path} has only one column; expected a label, then the pixels, with commas between")
    height, width = size or (math.isqrt(pixels), math.isqrt(pixels))
    if height * width != pixels:
        advice = f"--size {height}x{width} needs {height * width:,}" if size else "not a square number: pass --size HxW"
        raise SourceError(f"{path} has {pixels:,} pixels a line, {advice}")
    return height, width


def _read_table(path: Path, columns: _Columns) -> np.ndarray:
    """The rows as records of `label` and of the pixels `before` and `after` it, where there are any."""
    behind = columns.count - columns.label - 1
    before = [("before", np.uint8, (columns.label,))] if columns.label else []
    after = [("after", np.uint8, (behind,))] if behind else []
    record = np.dtype([*before, ("label", object), *after])
    options: dict[str, Any] = {"delimiter": ",", "comments": None, "quotechar": '"', "encoding": ENCODING}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy before 2.4 cuts 0.9 to 0, with this warning
            return np.loadtxt(path, record, skiprows=columns.header_lines, ndmin=1, **options)
    except UnicodeDecodeError:
        raise
    except (ValueError, DeprecationWarning) as err:
        _raise_for_first_bad_line(path, columns)
        raise SourceError(f"{path} cannot be read as a table: {err}") from err


def _raise_for_first_bad_line(path: Path, columns: _Columns) -> None:
    with path.open(encoding=ENCODING, newline="") as file:
        for line, row in _rows(file):
            if line <= columns.header_lines:
                continue
            if len(row) != columns.count:
                raise SourceError(
                    f"{path}, line {line}: {len(row):,} values; expected {columns.count:,} as in the first row"
                )
            for column, pixel in enumerate(row):
                digits = pixel.strip()
                is_pixel = digits.isascii() and digits.isdecimal() and int(digits[:20]) <= 255
                if column != columns.label and not is_pixel:
                    raise SourceError(
                        f"{path}, line {line}, column {column + 1}: {pixel[:20]!r} is not a pixel; "
                        "expected a whole number from 0 to 255"
                    )


def _check_labels(path: Path, labels: list[str], column: int) -> None:
    """A label is a name or a whole number: -1, 3.0 and 1e5 are more likely a missing label or a pixel."""
    for label in set(labels):
        if len(label) > MAX_LABEL or (_is_number(label) and not label.isdecimal()):
            raise SourceError(
                f"{path}: the label of example {labels.index(label) + 1:,} is {label[:20]!r}; expected a whole number "
                f"from 0, or a name of up to {MAX_LABEL} characters, in column {column + 1:,}"
            )
