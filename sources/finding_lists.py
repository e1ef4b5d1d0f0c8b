"""Finds the tables of a folder that list its files: `labels.csv`, one in each split's folder, or one for each split.

A table of another name counts if it names files of the folder and their labels. Beside class folders, its header must
also have a usual name for labels. Reads the tables, but no image.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.layout import split_folders
from vouch.sources.list_columns import Columns, NoColumns
from vouch.sources.list_text import UnreadableText, read_list_text
from vouch.sources.listed_files import FilesOnDisk, count_found
from vouch.sources.split_names import SplitName, is_split, split_in, splits_of
from vouch.sources.text_tables import SUFFIXES, Rows, Writing

LIST = "labels.csv"
STEM = "labels"
ORDER: tuple[SplitName, ...] = ("fit", "tune", "validation")
SAMPLE = 50
"""One of the first rows of a table must name a file: this many are checked."""
MOST_TABLES = 50
"""At most this many tables of a folder are checked."""


@dataclass(frozen=True)
class FoundList:
    """A list of files, read as a table."""

    path: Path
    disk: FilesOnDisk
    """The images of the folder that its paths start from."""
    rows: Rows
    columns: Columns
    writing: Writing


@dataclass(frozen=True)
class FoundLists:
    """The lists of a folder."""

    lists: Mapping[SplitName, FoundList]
    """One for `all`, or one per split; empty if there is none."""
    names: Mapping[str, SplitName]
    """The folders or tables that are splits, if each has a list."""
    aside: tuple[str, ...] = ()
    """Other tables, which are ignored."""


def find_lists(folder: Path, group: str = "") -> FoundLists:
    """The lists of a folder.

    Args:
        group: the name of the column of groups, if there may be one.

    Raises:
        SourceError: there are lists at the top and in a split, in some splits but not in others, several possible
            lists, or the columns of one are unclear.
        OSError: the folder, or a table in it, cannot be read.
    """
    below = {path.name: path for path in sorted(folder.iterdir()) if is_split(path.name) and path.is_dir()}
    if top := _called_labels(folder):
        if twice := [name for name, path in below.items() if _called_labels(path)]:
            raise SourceError(
                f"{folder} has a {LIST} and {twice[0]} has one too; expected one at the top or one per split"
            )
        return FoundLists({"all": _read(top, FilesOnDisk(folder), group)}, {})
    in_splits = {name: found for name, path in below.items() if (found := _list_in(path, group))}
    return _one_a_split(folder, in_splits) if in_splits else _at_the_top(folder, group)


def _one_a_split(folder: Path, lists: Mapping[str, FoundList]) -> FoundLists:
    splits = split_folders(folder)
    if missing := [path.name for path in splits.values() if path.name not in lists]:
        name, found = next(iter(lists.items()))
        verb = "has" if len(missing) == 1 else "have"
        raise SourceError(
            f"{folder}: {name} has a {found.path.name} but {', '.join(missing)} {verb} none; expected one per split"
        )
    names = {splits[split].name: split for split in ORDER if split in splits}
    return FoundLists({split: lists[name] for name, split in names.items()}, names)


def _list_in(folder: Path, group: str) -> FoundList | None:
    """The list in a split's folder: `labels.csv`, or the only table that lists its files."""
    if path := _called_labels(folder):
        return _read(path, FilesOnDisk(folder), group)
    found = _tables_that_list(folder, group)
    if len(found) > 1:
        raise _several(folder, found)
    return found[0] if found else None


def _at_the_top(folder: Path, group: str) -> FoundLists:
    """One table for each split, such as train.csv and val.csv, or the only one that lists files."""
    found = _tables_that_list(folder, group)
    by_word: dict[str, list[FoundList]] = {}
    for one in found:
        by_word.setdefault(split_in(one.path.stem), []).append(one)
    without = by_word.pop("", [])
    if twice := next((same for same in by_word.values() if len(same) > 1), without if not by_word else []):
        if len(twice) > 1:
            raise _several(folder, twice)
        return FoundLists({"all": twice[0]}, {})
    splits = splits_of(by_word, str(folder))
    words = {split: word for word, split in splits.items()}
    lists = {split: by_word[words[split]][0] for split in ORDER if split in words}
    names = {lists[split].path.name: split for split in splits.values()}
    return FoundLists(lists, names, tuple(one.path.name for one in without) if lists else ())


def _several(folder: Path, found: Sequence[FoundList]) -> SourceError:
    names = ", ".join(one.path.name for one in found[:5])
    return SourceError(
        f"{folder} has several tables that list its files, {names}; rename the right one to {LIST}, or have one for "
        "each split, such as train.csv and val.csv"
    )


def _tables_that_list(folder: Path, group: str) -> list[FoundList]:
    """The lists of any name.

    Raises:
        SourceError: there is none, but a table names files outside of class folders without their labels.
    """
    tables = _tables(folder)
    disk = FilesOnDisk(folder) if tables else None
    if disk is None or not disk.present:
        return []
    in_classes = _in_class_folders(disk)
    surely = len(in_classes) == len(disk.present)
    found: list[FoundList] = []
    unclear: list[str] = []
    for path in tables[:MOST_TABLES]:
        try:
            one = _read(path, disk, group)
        except UnreadableText:
            continue
        except SourceError as err:
            unclear.append(str(err))
            continue
        if _names_files(one) and (one.columns.surely or not surely):
            found.append(one)
    if unclear and not found and not surely:
        raise SourceError(f"{unclear[0]}; if it is a table of pixels, pass its own path")
    return found if not in_classes or any(_names_files(one, in_classes) for one in found) else []


def _names_files(found: FoundList, among: Set[str] = frozenset()) -> bool:
    """
    Args:
        among: it must name one of these files; empty: any file of the folder.
    """
    rows = found.rows if among else found.rows[:SAMPLE]
    files = [row[found.columns.file] for _, row in rows if len(row) == found.columns.count]
    if among:
        return any(found.disk.find(file, split_in(found.path.stem))[0] in among for file in files)
    return count_found(found.disk, files) > 0


def _in_class_folders(disk: FilesOnDisk) -> frozenset[str]:
    """The images below two or more folders, not counting the folders of splits."""
    paths = {file: file.split("/") for file in disk.present}
    inner = {file: path[1:] if is_split(path[0]) else path for file, path in paths.items()}
    nested = frozenset(file for file, path in inner.items() if len(path) > 1)
    return nested if len({inner[file][0] for file in nested}) > 1 else frozenset()


def _called_labels(folder: Path) -> Path | None:
    return next((path for path in _tables(folder) if path.stem.lower() == STEM), None)


def _tables(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _read(path: Path, disk: FilesOnDisk, group: str) -> FoundList:
    try:
        return FoundList(path, disk, *read_list_text(path, disk, group))
    except NoColumns as err:
        raise SourceError(f"{path}: {err}") from err
