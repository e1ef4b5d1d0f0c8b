"""The text of a list of files, in the encoding and with the separator that fit its file names and its folder.

A list is small enough to be in memory as a whole.
"""

import csv
import io
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.list_columns import Columns, NoColumns, columns_of
from vouch.sources.listed_files import FilesOnDisk, count_found
from vouch.sources.text_tables import (
    SEPARATORS,
    UTF8,
    Rows,
    Writing,
    check_lines,
    encoding_of,
    is_western,
    rows_of,
    said_separator,
)

MAX_LIST_BYTES = 256 << 20
"""About five million lines."""
MAX_LINE_BYTES = 1 << 20
SAMPLE = 50
"""The separator is found from this many rows."""


class UnreadableText(SourceError):
    """A list is not readable text, or not a table."""


def read_list_text(path: Path, disk: FilesOnDisk, group: str = "") -> tuple[Rows, Columns, Writing]:
    """The rows of a list, the meaning of its columns, and its encoding and separator.

    Args:
        group: as for `columns_of`.

    Raises:
        UnreadableText: it is too large, or not a CSV file in a known encoding.
        NoColumns: the meaning of its columns is unclear.
        OSError: it cannot be read.
    """
    if (size := path.stat().st_size) > MAX_LIST_BYTES:
        raise UnreadableText(f"{path} has {size:,} bytes; expected a list of files of at most {MAX_LIST_BYTES:,}")
    check_lines(path, MAX_LINE_BYTES)
    content, encoding = path.read_bytes(), encoding_of(path)
    try:
        return _read(path, content.decode(encoding), encoding, disk, group)
    except UnicodeDecodeError as err:
        if encoding == UTF8 and (read := _read_as_western(path, content, disk, group)):
            return read
        found = "UTF-8" if encoding == UTF8 else "UTF-16"
        raise UnreadableText(f"{path} is not a text file in {found} ({err.reason}); save it as CSV in UTF-8") from err


def _read(path: Path, text: str, encoding: str, disk: FilesOnDisk, group: str) -> tuple[Rows, Columns, Writing]:
    first_line = text[:MAX_LINE_BYTES].lstrip("\r\n").partition("\n")[0]
    if said := said_separator(first_line):
        blank = len(text) - len(text.lstrip("\r\n"))
        writing = Writing(encoding, said, skipped=text[:blank].count("\n") + 1)
    else:
        writing = max(
            (Writing(encoding, separator) for separator in SEPARATORS), key=lambda one: _fits(text, one, disk)
        )
    try:
        read = rows_of(_lines(text), writing, strict=True)
        rows = [(line, row) for line, row in read if any(map(str.strip, row))]  # spreadsheets end with `;;`
    except csv.Error as err:
        raise UnreadableText(f"{path} is not a CSV file: {_line_of(text, writing)}: {err}") from err
    return rows, columns_of(rows, disk, group) if rows else Columns(0, 2, (1,)), writing


def _fits(text: str, writing: Writing, disk: FilesOnDisk) -> tuple[int, int, int]:
    """How well a separator fits the first rows: found files, then rows of equal length, then commas before others."""
    rows: list[list[str]] = []
    try:
        for _, row in rows_of(_lines(text[: SAMPLE * MAX_LINE_BYTES]), writing):
            rows.append(row)
            if len(rows) == SAMPLE:
                break
    except csv.Error:
        pass  # judged by the rows so far; reading the whole list raises it again
    wide = [row for row in rows if len(row) > 1]
    if not wide:
        return 0, 0, -list(SEPARATORS).index(writing.separator)
    columns = range(min(map(len, wide)))
    found = max(count_found(disk, [row[column] for row in wide]) for column in columns)
    alike = sum(len(row) == len(wide[0]) for row in rows)
    return found, alike, -list(SEPARATORS).index(writing.separator)


def _lines(text: str) -> io.StringIO:
    return io.StringIO(text, newline="")


def _line_of(text: str, writing: Writing) -> str:
    """Where the csv module stopped, for messages."""
    reader = csv.reader(_lines(text), delimiter=writing.separator, strict=True)
    try:
        for _ in reader:
            pass
    except csv.Error:
        pass
    return f"line {reader.line_num}"


def _read_as_western(path: Path, content: bytes, disk: FilesOnDisk, group: str) -> tuple[Rows, Columns, Writing] | None:
    """The list as Windows-1252 text, if there is evidence for it; else None.

    Evidence: file names with such letters exist on the disk. Without such file names: no word consists mostly of such
    letters, as in text of another alphabet.
    """
    try:
        text = content.decode("cp1252")
        rows, columns, writing = _read(path, text, "cp1252", disk, group)
    except (UnicodeDecodeError, UnreadableText, NoColumns):
        return None
    files = [row[columns.file] for _, row in rows if len(row) == columns.count and not row[columns.file].isascii()]
    if files:
        return (rows, columns, writing) if count_found(disk, files) == len(files) else None
    return (rows, columns, writing) if is_western(text) else None
