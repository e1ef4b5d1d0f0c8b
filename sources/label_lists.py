"""Lists of files with any number of labels each: `labels.csv`, with lines such as `birds/7.jpg,blue;small`.

A list stands in the folder that its paths begin from: at the top, or one in each folder of a split. All that is wrong
with the lists of a folder is said in one message.
"""

import csv
import errno
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vouch.sources.errors import SourceError
from vouch.sources.examples import SplitName
from vouch.sources.layout import SPLITS, images_below, split_folders

LIST = "labels.csv"
SEPARATOR = ";"
HEADER = ["file", "labels"]
LINE = "FILE,LABEL;LABEL, where FILE begins from the list's folder, and nothing behind the comma means no label"


@dataclass
class LabelledFiles:
    """The files that a folder's lists name."""

    splits: dict[SplitName, list[tuple[Path, tuple[str, ...]]]] = field(default_factory=dict)
    """Split, or `all` for a list at the top -> files with their labels, in the order of the list."""
    warnings: list[str] = field(default_factory=list)
    """Images that are left out, a sentence a list."""


def find_lists(folder: Path) -> dict[SplitName, Path]:
    """The lists of a folder: one for `all`, one a split, or none.

    Raises:
        SourceError: a list at the top and in a split as well, or in some splits and not in others.
        OSError: the folder cannot be read.
    """
    top = folder / LIST
    below = sorted(path.parent.name for path in folder.glob(f"*/{LIST}") if path.parent.name.lower() in SPLITS)
    if top.is_file():
        if below:
            raise SourceError(
                f"{folder} has a {LIST} and {below[0]} has one too; expected one at the top or one a split"
            )
        return {"all": top}
    if not below:
        return {}
    splits = split_folders(folder)
    if missing := [path.name for path in splits.values() if path.name not in below]:
        verb = "has" if len(missing) == 1 else "have"
        raise SourceError(
            f"{folder}: {below[0]} has a {LIST} but {', '.join(missing)} {verb} none; expected one a split"
        )
    return {split: path / LIST for split, path in splits.items()}


def read_lists(lists: Mapping[SplitName, Path]) -> LabelledFiles:
    """The files that these lists name, all of which are there.

    Raises:
        SourceError: lines that cannot be understood, files that are missing or listed twice, or no line at all: all of
            them in one message.
    """
    found, wrong = LabelledFiles(), []
    for split, path in lists.items():
        entries, complaints = _read_list(path)
        wrong += complaints
        listed = {file for file, _ in entries}
        present = set(images_below(path.parent))
        missing = [
            file for file in dict.fromkeys(file for file, _ in entries) if not _is_there(path.parent, file, present)
        ]
        if missing:
            wrong.append(
                f"{len(missing):,} of the {len(listed):,} files in {path} {_verb(missing)} missing ({_some(missing)})"
            )
        if unlisted := sorted(present - listed):
            found.warnings.append(
                f"left out {_count(unlisted, 'image')} in {path.parent}, not in its {LIST} ({_some(unlisted)})"
            )
        found.splits[split] = [(path.parent / file, labels) for file, labels in entries]
    if wrong:
        raise SourceError("; ".join(wrong))
    if "all" in lists:
        found.warnings += _of_folders_named_like_splits(lists["all"].parent)
    return found


def _of_folders_named_like_splits(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name.lower() in SPLITS)
    if not names:
        return []
    return [f"{', '.join(names)} in {folder} are not taken for splits: put a {LIST} into each of them for that"]


def _read_list(path: Path) -> tuple[list[tuple[str, tuple[str, ...]]], list[str]]:
    """The files of a list, as paths from its folder on, with their labels; and what is wrong with it."""
    entries: list[tuple[str, tuple[str, ...]]] = []
    malformed: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = (row for row in reader if len(row) > 1 or "".join(row).strip())  # a blank line is none
            for number, row in enumerate(rows):
                if number == 0 and [name.strip().lower() for name in row] == HEADER:
                    continue
                try:
                    entries.append(_parse(row))
                except ValueError as err:
                    malformed.append(f"line {reader.line_num}: {err}")
    except UnicodeDecodeError as err:
        raise SourceError(f"{path} is not a text file in UTF-8 ({err.reason}); save it as CSV in UTF-8") from err
    except csv.Error as err:
        raise SourceError(f"{path} is not a CSV file: line {reader.line_num}: {err}") from err
    complaints: list[str] = []
    if malformed:
        shown = "; ".join(malformed[:3]) + ("; ..." if len(malformed) > 3 else "")
        complaints.append(f"{_count(malformed, 'line')} of {path} {_verb(malformed)} not {LINE} ({shown})")
    elif not entries:
        complaints.append(f"{path} lists no file; expected lines of {LINE}")
    if twice := [file for file, count in Counter(file for file, _ in entries).items() if count > 1]:
        complaints.append(f"{_count(twice, 'file')} {_verb(twice)} listed more than once in {path} ({_some(twice)})")
    return entries, complaints


def _parse(row: list[str]) -> tuple[str, tuple[str, ...]]:
    """A line's file and labels. Raises ValueError with what is wrong."""
    if len(row) != 2:
        raise ValueError(f"{_count(row, 'value')} instead of 2")
    file, labels = row[0].strip(), row[1].strip()
    path = PurePosixPath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in file:
        raise ValueError(f"{file[:99]!r} is no path from the list's folder on")
    names = [label.strip() for label in labels.split(SEPARATOR)] if labels else []
    if "" in names:
        raise ValueError(f"an empty label in {labels[:99]!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"a label twice in {labels[:99]!r}")
    return path.as_posix(), tuple(names)


def _is_there(folder: Path, file: str, present: set[str]) -> bool:
    try:
        return file in present or (folder / file).is_file()  # of another ending, hidden, or behind a link to a folder
    except OSError as err:
        if err.errno == errno.ENAMETOOLONG:
            return False
        raise


def _count(what: Sequence[str], noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{len(what):,} {noun}{'s' * (len(what) != 1)}"


def _verb(what: Sequence[str]) -> str:
    return "is" if len(what) == 1 else "are"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
