"""The meaning of the columns of a list of files: files, labels, splits.

The columns' names decide; otherwise the files on the disk decide, or only one column is left. Nothing is guessed: if
several columns fit, an error names them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vouch.sources import column_names
from vouch.sources.column_names import listed, plain, tidy
from vouch.sources.image_kinds import is_image
from vouch.sources.listed_files import FilesOnDisk, count_found
from vouch.sources.split_names import is_split
from vouch.sources.text_tables import Rows, is_number

SAMPLE = 50
"""The columns are found from this many rows."""
TRUE, FALSE = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})
"""Values of a column for a class; case does not matter."""


class NoColumns(Exception):
    """The columns of a table are unclear; the message gives the reason."""


@dataclass(frozen=True)
class Columns:
    """Positions of the columns, from 0."""

    file: int
    count: int
    """Values per row."""
    labels: tuple[int, ...]
    """One column of labels; or a column for each class, with 1 if the file has it."""
    names: tuple[str, ...] = ()
    """The columns' names in the header; empty without a header."""
    split: int | None = None
    group: int | None = None
    """The column of groups, if the user wants groups."""

    @property
    def one_hot(self) -> bool:
        """Whether there is a column for each class."""
        return len(self.labels) > 1

    @property
    def split_name(self) -> str:
        """The name of the column of splits; empty if there is none."""
        return self.names[self.split] if self.split is not None and self.names else ""

    @property
    def surely(self) -> bool:
        """Whether the header has a usual name for labels."""
        return len(self.labels) == 1 and bool(self.names) and plain(self.names[self.labels[0]]) in column_names.LABEL

    def in_words(self) -> list[str]:
        """Notes for the user; none for only a file and its label, with these names or without a header."""
        if self.count == 2 and not self.file and (self.surely or not self.names):
            return []
        called = self.names or tuple(str(number) for number in range(1, self.count + 1))
        chosen = [called[column] for column in self.labels]
        classes = f"classes from {len(chosen):,} columns of 0 and 1 ({listed(chosen)})"
        words = [
            f"files from column {called[self.file] or self.file + 1}",
            classes if self.one_hot else f"labels from column {chosen[0]}",
        ]
        if self.split is not None:
            words.append(f"splits from column {called[self.split]}")
        used = {self.file, self.split, self.group, *self.labels}
        aside = [name for column, name in enumerate(called) if column not in used]
        return words + [f"ignored: {listed(aside)}"] * bool(aside)


def columns_of(rows: Rows, disk: FilesOnDisk, group: str = "") -> Columns:
    """The columns of a list, from its first row and, if that is not enough, from the others.

    Args:
        group: the name of the column of groups, if there may be one.

    Raises:
        NoColumns: the header does not show which columns are files and labels, or has several.
    """
    first, others = rows[0][1], [row for _, row in rows[1:]]
    names = tuple(tidy(name) for name in first)
    if not _is_header(names, disk) and not _above_files(names, others):
        swapped = len(first) == 2 and not _found(disk, [first, *others], 0) and _found(disk, [first, *others], 1)
        return Columns(1, 2, (0,)) if swapped else Columns(0, 2, (1,))
    whole = [row for row in others if len(row) == len(names)]
    file = _file_column(names, whole, disk)
    rest = [column for column in range(len(names)) if column != file]
    split = next((column for column in rest if _is_split(names[column], whole, column)), None)
    _check_no_other_split(names, rest, split, whole)
    groups = _column_called(group, names)
    sure = groups is not None and plain(names[groups]) not in column_names.LABEL
    rest = [column for column in rest if column != split and not (sure and column == groups)]
    return Columns(file, len(names), _label_columns(names, rest, whole), names, split, groups)


def _column_called(wanted: str, names: tuple[str, ...]) -> int | None:
    """Its position: the column with exactly this name, or one that differs only in case, blanks and similar."""
    same = [column for column, name in enumerate(names) if name and name == tidy(wanted)]
    like = [column for column, name in enumerate(names) if plain(name) and plain(name) == plain(wanted)]
    return next(iter(same or like), None)


def _is_header(names: tuple[str, ...], disk: FilesOnDisk) -> bool:
    """Whether the first row is a header: it has a usual name for files or labels, and no file."""
    if len(names) < 2 or any(is_image(name) or ("/" in name and disk.find(name)[1] == "path") for name in names):
        return False
    file, label = (any(plain(name) in known for name in names) for known in (column_names.FILE, column_names.LABEL))
    return (file and label) or ((file or label) and not any(count_found(disk, [name]) for name in names if name))


def _above_files(names: tuple[str, ...], others: list[list[str]]) -> bool:
    """Whether all other rows have a file with its suffix in one column, and the first row has none."""
    if len(names) < 2 or any(is_image(name) for name in names):
        return False
    whole = [row for row in others[:SAMPLE] if len(row) == len(names)]
    return len(whole) > 1 and any(
        all(is_image(value.strip()) for value in column) for column in zip(*whole, strict=True)
    )


def _found(disk: FilesOnDisk, rows: Sequence[Sequence[str]], column: int) -> int:
    return count_found(disk, [row[column] for row in rows[:SAMPLE] if column < len(row)])


def _file_column(names: tuple[str, ...], rows: list[list[str]], disk: FilesOnDisk) -> int:
    """
    Raises:
        NoColumns: no column names files.
    """
    named = [column for column, name in enumerate(names) if plain(name) in column_names.FILE]
    found = {column: _found(disk, rows, column) for column in range(len(names))}
    best = max(found.values())
    if best and (best_named := [column for column in named if found[column] * 2 >= best]):
        return best_named[0]
    if best:
        return next(column for column in found if found[column] == best)
    if not named:
        raise NoColumns(f"its header ({listed(list(names))}) names no column of files; call that column file")
    strong = [column for column in named if plain(names[column]) not in column_names.INDEX | {"name"}]
    return (strong or named)[0]


def _is_split(name: str, rows: list[list[str]], column: int) -> bool:
    return plain(name) in column_names.SPLIT and any(is_split(row[column].strip()) for row in rows[:SAMPLE])


def _check_no_other_split(names: tuple[str, ...], rest: list[int], split: int | None, rows: list[list[str]]) -> None:
    """
    Raises:
        NoColumns: a column must be that of splits by its name, but none of its values is a split.
    """
    for column in rest:
        if column != split and split is None and rows and plain(names[column]) in column_names.SURELY_SPLIT:
            values = list(dict.fromkeys(row[column].strip() for row in rows[:SAMPLE]))
            raise NoColumns(
                f"its column {names[column]} contains {listed(values)}, which are not splits; write train, val and "
                "test there, or rename the column"
            )


def _label_columns(names: tuple[str, ...], rest: list[int], rows: list[list[str]]) -> tuple[int, ...]:
    """
    Raises:
        NoColumns: no column has a usual name for labels and several are possible; or several have such a name.
    """
    named = [column for column in rest if plain(names[column]) in column_names.LABEL]
    if len(named) > 1 and not _same_classes([[row[column] for row in rows] for column in named]):
        raise NoColumns(
            f"its header names several columns of labels ({listed([names[column] for column in named])}); remove or "
            "rename all but one"
        )
    if named:
        in_words = [column for column in named if not all(is_number(row[column]) for row in rows[:SAMPLE])]
        return ((in_words or named)[0],)
    rest = [column for column in rest if plain(names[column]) not in column_names.INDEX]
    if len(rest) == 1:
        return (rest[0],)
    if rest and rows and all(_is_flag(row[column]) for row in rows[:SAMPLE] for column in rest):
        return tuple(rest)
    raise NoColumns(
        f"its header ({listed(list(names))}) names no column of labels; call that column label, or give each class a "
        "column of 0 and 1 and remove the other columns"
    )


def _is_flag(value: str) -> bool:
    return value.strip().lower() in TRUE | FALSE


def _same_classes(columns: Sequence[Sequence[str]]) -> bool:
    """Whether columns are equivalent: each value of one occurs with only one value of each other."""
    together = set(zip(*columns, strict=True))
    return all(len(set(column)) == len(together) for column in columns)


def label_parser(columns: Columns) -> Callable[[list[str]], tuple[str, ...]]:
    """A function that gives the labels of a row; it raises ValueError with the error."""
    return (
        (lambda row: _of_flags(columns, row))
        if columns.one_hot
        else (lambda row: _split_labels(row[columns.labels[0]]))
    )


def _of_flags(columns: Columns, row: list[str]) -> tuple[str, ...]:
    for column in columns.labels:
        if not _is_flag(row[column]):
            raise ValueError(f"{row[column][:20]!r} in column {columns.names[column][:30]}, expected 0 or 1")
    return tuple(columns.names[column] for column in columns.labels if row[column].strip().lower() in TRUE)


def _split_labels(value: str) -> tuple[str, ...]:
    value = value.strip()
    names = [label.strip() for label in value.replace("|", ";").split(";")] if value else []
    if "" in names:
        raise ValueError(f"an empty label in {value[:99]!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"a repeated label in {value[:99]!r}")
    return tuple(names)


def group_of(columns: Columns, row: list[str]) -> str:
    """The group of a row's file; empty without a column of groups. Raises ValueError if the column is empty."""
    if columns.group is None:
        return ""
    if not (group := row[columns.group].strip()):
        raise ValueError(f"nothing in column {columns.names[columns.group]}, the column of groups")
    return group
