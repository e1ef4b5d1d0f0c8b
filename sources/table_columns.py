"""The meaning of the columns of a table of pixels: the label, the split, and the pixels with their order.

Pure: it gets the first rows. The header's names decide; an unclear header is an error that shows the names.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from vouch.sources import column_names
from vouch.sources.column_names import listed, plain, tidy
from vouch.sources.errors import SourceError
from vouch.sources.split_names import is_split
from vouch.sources.text_tables import Rows, is_number

LABEL_COLUMN = "label, class, target or y"
CHANNEL = re.compile(r"(?:(?<=[\d_.\- ])|^)(red|green|blue|r|g|b)(?=[\d_.\- ]|$)", re.IGNORECASE)
"""A channel in a column's name: `r0`, `pixel_0_0_r`, `red.17`."""
PACKED = re.compile(r"\s*\[?\s*[0-9.eE+-]+(?:[\s,]+[0-9.eE+-]+){3,}\s*\]?\s*")
"""A value with four or more numbers."""


@dataclass(frozen=True)
class TableColumns:
    """Positions of the columns, from 0."""

    header_lines: int
    """Lines before the first example."""
    count: int
    label: int
    pixels: tuple[int, ...]
    """In the file's order; only one if `packed`."""
    note: str
    """How the label's column was found."""
    packed: bool = False
    """Whether all pixels are in one column, separated by blanks."""
    split: int | None = None
    index: int | None = None
    """A column without a name, which must number the lines."""
    aside: tuple[str, ...] = ()
    """Names of ignored columns."""
    names: tuple[str, ...] = ()
    """Names of the pixels' columns; empty if no header names them one by one."""


def columns_of(where: str, rows: Rows) -> TableColumns:
    """The columns of a table.

    Args:
        where: the file's name in messages.
        rows: its first rows, at least one.

    Raises:
        SourceError: the label's column is unclear, or some columns are neither label nor pixels.
    """
    names = [tidy(name) for name in rows[0][1]]
    second = rows[1][1] if len(rows) > 1 else []
    packed = [column for column, value in enumerate(second or rows[0][1]) if PACKED.fullmatch(value)]
    if any(PACKED.fullmatch(name) for name in rows[0][1]) or not _is_header(names, second):
        return _without_header(where, rows, packed)
    if not second:
        raise SourceError(f"{where} has a header but no examples; expected lines of a label and its pixels")
    if len(second) != len(names):
        raise SourceError(
            f"{where}: the header names {len(names):,} columns, but line {rows[1][0]} has {len(second):,} values; "
            "expected one name per value"
        )
    return _with_header(where, rows, names, packed)


def _without_header(where: str, rows: Rows, packed: list[int]) -> TableColumns:
    first, count = rows[0][1], len(rows[0][1])
    if packed:
        if count != 2:
            raise SourceError(f"{where} has {count:,} columns and no header; expected a header that names them")
        label = 1 - packed[0]
        return TableColumns(
            0, 2, label, (packed[0],), f"labels: column {label + 1}, beside that of pixels", packed=True
        )
    words = [{column for column, value in enumerate(row) if not is_number(value)} for _, row in rows]
    if count > 2 and all(one == {count - 1} for one in words):
        note = "labels: the last column, the only one without numbers"
        return TableColumns(0, count, count - 1, tuple(range(count - 1)), note)
    note = "labels: the first column, because there is no header"
    return TableColumns(0, len(first), 0, tuple(range(1, count)), note)


def _with_header(where: str, rows: Rows, names: list[str], packed: list[int]) -> TableColumns:
    usual = _usual_form(names) if not packed else ""
    of_form = [column for column, name in enumerate(names) if usual and _form(name) == usual]
    split = next((column for column in range(len(names)) if _is_split(names[column], rows, column)), None)
    others = [column for column in range(len(names)) if column not in {*of_form, *packed, split}]
    index = 0 if not names[0] else None
    numbering = [
        column for column in others if plain(names[column]) in column_names.INDEX and (names[column] or not column)
    ]
    others = [column for column in others if column not in numbering]
    label = _label_column(where, names, others, sure=bool(of_form or packed))
    others.remove(label)
    if packed:
        pixels = packed[:1]
        aside = [column for column in range(len(names)) if column not in {label, split, *pixels}]
    else:
        pixels = of_form or others
        if strays := [names[column] for column in others if column not in pixels]:
            raise SourceError(
                f"{where} has a column {strays[0][:30]!r} among columns of pixels such as {names[of_form[0]][:30]}; "
                "remove what is neither label nor pixel"
            )
        aside = numbering
    if of_form:
        _check_order(where, [names[column] for column in pixels])
    return TableColumns(
        rows[0][0],
        len(names),
        label,
        tuple(pixels),
        f"labels: column {label + 1:,} of {len(names):,}, {names[label]}",
        packed=bool(packed),
        split=split,
        index=index,
        aside=tuple(names[column] or "''" for column in aside),
        names=tuple(names[column] for column in pixels) if of_form else (),
    )


def _is_split(name: str, rows: Rows, column: int) -> bool:
    values = [row[column].strip() for _, row in rows[1:] if column < len(row)]
    return plain(name) in column_names.SPLIT and bool(values) and all(map(is_split, values))


def _label_column(where: str, names: list[str], others: list[int], sure: bool) -> int:
    """
    Args:
        others: columns that are not pixels, or may not be.
        sure: whether none of them can be a pixel.

    Raises:
        SourceError: no column has a usual name for labels, or several have.
    """
    found = [column for column in others if plain(names[column]) in column_names.LABEL]
    if not found and sure and len(others) == 1:
        return others[0]
    if len(found) == 1:
        return found[0]
    if found:
        both = " and ".join(f"{names[column]} (column {column + 1:,})" for column in found[:2])
        raise SourceError(f"{where} has two columns of labels, {both}; remove or rename one of them")
    raise SourceError(
        f"{where} has a header ({listed(names)}) that does not name a column of labels; call that column "
        f"{LABEL_COLUMN}, or remove the header if the label comes first"
    )


def _is_header(names: list[str], second: list[str]) -> bool:
    """Whether a first row is a header: all are words, one is a usual name for labels, or the columns are numbered.

    The first example's label may be such a name too, if pixels follow that are not numbered.
    """
    if len(names) > 1 and not any(is_number(name) for name in names[1:]):
        return True
    if any(plain(name) in column_names.LABEL for name in names[1:]) or (len(names) >= 10 and _counts_up(names)):
        return True
    words_over_numbers = bool(second) and is_number(second[0])
    surely = plain(names[0]) in column_names.LABEL or len(names) > 10 or words_over_numbers
    return _counts_up(names[1:]) and not is_number(names[0]) and surely


def _counts_up(row: list[str]) -> bool:
    return any([field.strip() for field in row] == [str(start + i) for i in range(len(row))] for start in (0, 1))


def _form(name: str) -> str:
    """A column's name without its number and its channel: `pixel_0_17_r` gives `pixel_#_#_@`."""
    return re.sub(r"[0-9]+", "#", CHANNEL.sub("@", name))


def _usual_form(names: Sequence[str]) -> str:
    """The form of most names, if it has a number; else empty: the names have no order."""
    usual, count = Counter(map(_form, names)).most_common(1)[0]
    return usual if "#" in usual and count > len(names) / 2 else ""


def numbers_in(name: str) -> tuple[int, ...]:
    """`pixel_3_17` gives (3, 17)."""
    return tuple(map(int, re.findall(r"[0-9]{1,18}", name)))


def channel_in(name: str) -> str:
    """`r`, `g` or `b`; empty without a channel in the name."""
    found = CHANNEL.search(name)
    return found[1][0].lower() if found else ""


def _check_order(where: str, names: Sequence[str]) -> None:
    """Checks the order of the names' numbers.

    Raises:
        SourceError: the numbers are not in order within a channel.
    """
    for channel in ("", "r", "g", "b"):
        of_channel = [name for name in names if channel_in(name) == channel]
        for first, second in pairwise(of_channel):
            if numbers_in(second) <= numbers_in(first):
                raise SourceError(
                    f"{where} has its pixels out of order: {second[:30]} comes after {first[:30]}; sort the columns "
                    "by their numbers"
                )
