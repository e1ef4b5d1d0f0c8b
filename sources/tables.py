"""Images as lines of numbers: .csv files with the label first, then the pixels row by row.

numpy reads the table; only where it refuses is the file gone through line by line, to say which line is at fault.
"""

import csv
import math
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.labels import make_source

MAX_LABEL = 200  # characters; labels become an array as wide as the longest
ENCODING = "utf-8-sig"  # UTF-8, with or without the mark that spreadsheets write first


def read_csv(name: str, path: Path, size: tuple[int, int] | None = None) -> Source:
    """The source in a .csv file, not split.

    Args:
        size: height and width of the images; None: they are square.

    Raises:
        SourceError: not such a file, a line that is not a label and as many pixels from 0 to 255 as the others have,
            or pixels that do not make up images of this size.
    """
    try:
        header_lines, columns = _look_at_start(path)
        height, width = _image_size(path, columns - 1, size)
        table = _read_table(path, header_lines, columns)
    except OSError as err:
        raise SourceError(f"{path} cannot be read: {err.strerror or err}") from err
    except UnicodeDecodeError as err:
        raise SourceError(f"{path} is not a text file in UTF-8 ({err.reason}); save it as CSV in UTF-8") from err
    except csv.Error as err:
        raise SourceError(f"{path} is not a CSV file: {err}") from err
    images = np.ascontiguousarray(table["pixels"]).reshape(-1, height, width)
    labels = [label.strip() for label in table["label"]]
    _check_labels(path, labels)
    return make_source(name, {"all": (images, np.array(labels))})


def _look_at_start(path: Path) -> tuple[int, int]:
    """The number of lines before the first example, and of columns."""
    with path.open(encoding=ENCODING, newline="") as file:
        rows = list(islice(_rows(file), 2))
    if not rows:
        raise SourceError(f"{path} is empty; expected lines of a label and its pixels")
    header = _is_header(*(row for _, row in rows))
    if header and len(rows) == 1:
        raise SourceError(f"{path} has a header but no examples; expected lines of a label and its pixels")
    return (rows[0][0], len(rows[1][1])) if header else (0, len(rows[0][1]))


def _rows(file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the number of its last line, counted from 1."""
    reader = csv.reader(file)
    return ((reader.line_num, row) for row in reader if row)


def _is_header(first: list[str], second: list[str] | None = None) -> bool:
    """Whether a first row names the columns: its pixels are words, or it counts the columns."""
    if not any(_is_number(pixel) for pixel in first[1:]):
        return len(first) > 1
    if len(first) >= 10 and _counts_up(first):
        return True
    words_over_numbers = second is not None and not _is_number(first[0]) and _is_number(second[0])
    return words_over_numbers and _counts_up(first[1:])


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


def _read_table(path: Path, header_lines: int, columns: int) -> np.ndarray:
    """The rows as records of `label` and `pixels`."""
    record = np.dtype([("label", object), ("pixels", np.uint8, (columns - 1,))])
    options: dict[str, Any] = {"delimiter": ",", "comments": None, "quotechar": '"', "encoding": ENCODING}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # numpy before 2.4 cuts 0.9 to 0, with this warning
            return np.loadtxt(path, record, skiprows=header_lines, ndmin=1, **options)
    except UnicodeDecodeError:
        raise
    except (ValueError, DeprecationWarning) as err:
        _raise_for_first_bad_line(path, header_lines, columns)
        raise SourceError(f"{path} cannot be read as a table: {err}") from err


def _raise_for_first_bad_line(path: Path, header_lines: int, columns: int) -> None:
    with path.open(encoding=ENCODING, newline="") as file:
        for line, row in _rows(file):
            if line <= header_lines:
                continue
            if len(row) != columns:
                raise SourceError(f"{path}, line {line}: {len(row):,} values; expected {columns:,} as in the first row")
            for column, pixel in enumerate(row[1:], start=2):
                digits = pixel.strip()
                if not (digits.isascii() and digits.isdecimal() and int(digits[:20]) <= 255):
                    raise SourceError(
                        f"{path}, line {line}, column {column}: {pixel[:20]!r} is not a pixel; "
                        "expected a whole number from 0 to 255"
                    )


def _check_labels(path: Path, labels: list[str]) -> None:
    """A label is a name or a whole number: -1, 3.0 and 1e5 are more likely a missing label or a pixel."""
    for label in set(labels):
        if len(label) > MAX_LABEL or (_is_number(label) and not label.isdecimal()):
            raise SourceError(
                f"{path}: the label of example {labels.index(label) + 1:,} is {label[:20]!r}; "
                f"expected a whole number from 0, or a name of up to {MAX_LABEL} characters, in the first column"
            )
