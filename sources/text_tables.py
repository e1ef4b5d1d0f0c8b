"""Tables as text, as spreadsheets write them: the encoding, and the separator. Memory is bounded.

Does not know what the columns mean.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vouch.sources.errors import SourceError

SUFFIXES = (".csv", ".tsv")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
UTF8 = "utf-8-sig"
"""With or without the byte order mark that spreadsheets write."""
MAX_LINE_BYTES = 16 << 20
"""The longest line: 1,024 x 1,024 pixels in colour. A line is in memory as a whole."""
PROBE_BYTES = 4096
CHUNK_BYTES = 1 << 20

Rows = list[tuple[int, list[str]]]
"""Rows that are not blank, each with the number of its last line, from 1."""


@dataclass(frozen=True)
class Writing:
    """A table's encoding and separator."""

    encoding: str
    separator: str = ","
    skipped: int = 0
    """Lines before the table: 1 if the first is `sep=;`."""

    def in_words(self) -> list[str]:
        """Notes for the user; none for commas and UTF-8."""
        words = [f"{SEPARATORS[self.separator]} between its values"] * (self.separator != ",")
        names = {"cp1252": "Windows-1252 text (Latin-1)"}
        return words + [names.get(self.encoding, "UTF-16 text")] * (self.encoding != UTF8)


def encoding_of(path: Path) -> str:
    """The encoding from the first bytes: UTF-16 by its byte order mark or zero bytes, else UTF-8.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(PROBE_BYTES)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    zeros = [start[first::2].count(0) for first in (0, 1)]
    half = len(start) // 2
    if half and zeros[1] > half / 2 and not zeros[0]:
        return "utf-16-le"
    if half and zeros[0] > half / 2 and not zeros[1]:
        return "utf-16-be"
    return UTF8


def check_lines(path: Path, most: int | None = None) -> None:
    """Checks that every line is short enough to be in memory.

    Args:
        most: bytes; None: the limit for tables.

    Raises:
        SourceError: a line is too long.
        OSError: the file cannot be read.
    """
    number, run = 1, 0
    most = MAX_LINE_BYTES if most is None else most
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            first, last = _ends(chunk)
            if run + (len(chunk) if first < 0 else first) > most:
                raise SourceError(f"{path}: line {number:,} has over {most:,} bytes; expected one line per image")
            number += chunk.count(b"\n")
            run = run + len(chunk) if first < 0 else len(chunk) - 1 - last


def _ends(chunk: bytes) -> tuple[int, int]:
    """Where the first and the last line end in a piece; -1 if no line ends in it."""
    firsts = [at for at in (chunk.find(b"\n"), chunk.find(b"\r")) if at >= 0]
    return min(firsts, default=-1), max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))


def rows_of(lines: Iterable[str], writing: Writing, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table that are not blank, each with the number of its last line.

    Args:
        lines: from the first.
        strict: whether misplaced quotes are an error.

    Raises:
        csv.Error: from the csv module.
    """
    reader = csv.reader(lines, delimiter=writing.separator, strict=strict)
    for row in reader:
        if reader.line_num > writing.skipped and (len(row) > 1 or "".join(row).strip()):
            yield reader.line_num, row


def said_separator(first_line: str) -> str:
    """The separator in a first line `sep=;` of a spreadsheet; empty without such a line."""
    name, _, said = first_line.strip("\ufeff\"' \r\n").partition("=")
    return said if name.lower() == "sep" and said in SEPARATORS else ""


def is_western(text: str) -> bool:
    """Whether no word has mostly accented letters, as text in another alphabet would have if read as Latin-1."""
    return not any(map(_is_misread, (word for word in re.findall(r"\w+", text) if not word.isascii())))


def _is_misread(word: str) -> bool:
    """Whether a word is not Latin-1: mostly accents, accented capitals inside small letters (Mac), or florin signs."""
    accents = [letter for letter in word if not letter.isascii()]
    amid = word.lower() != word and any(letter.isupper() and not letter.isascii() for letter in word[1:])
    return len(accents) * 2 > len(word) or "\u0192" in word or (amid and any(map(str.islower, word)))


def is_number(text: str) -> bool:
    """Whether it is a finite number with a decimal point."""
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
