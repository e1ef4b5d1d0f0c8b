"""Lists of files with their labels: `labels.csv`, with lines such as `birds/7.jpg,wren`, or `birds/7.jpg,blue;small`.

Where every file has exactly one label, that is its class; where one has several or none, all may have any number. A
list lies in the folder that its paths begin from: at the top, or one in each folder of a split. All that is wrong with
the lists of a folder is said in one message.
"""

import csv
import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vouch.sources.errors import SourceError
from vouch.sources.layout import SPLITS, images_below, split_folders
from vouch.sources.split_names import SplitName

LIST = "labels.csv"
SEPARATOR = ";"
FILE_COLUMN = {
    "file",
    "files",
    "filename",
    "file_name",
    "filepath",
    "path",
    "image",
    "images",
    "image_name",
    "img",
    "name",
}
LABEL_COLUMN = {"label", "labels", "class", "classes", "target", "targets", "tag", "tags", "y"}
"""How a header calls the two columns, in any case."""
LINE = (
    "FILE,LABEL or FILE,LABEL;LABEL, where FILE begins from the list's folder, and nothing behind the comma means no "
    "label"
)

_Entry = tuple[int, str, tuple[str, ...]]
"""Line of a list, file as a path from its folder on, labels."""


@dataclass
class LabelledFiles:
    """The files that a folder's lists name."""

    splits: dict[SplitName, list[tuple[Path, tuple[str, ...]]]] = field(default_factory=dict)
    """Split, or `all` for a list at the top -> files with their labels, in the order of the list."""
    warnings: list[str] = field(default_factory=list)
    """Images that are left out and lines that repeat others, a sentence a list."""
    not_one: str = ""
    """The first file that has several labels or none, in words; empty where every file has exactly one."""


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
        SourceError: lines that cannot be understood, files that are missing, or no line at all: all of them in one
            message.
    """
    found, wrong = LabelledFiles(), []
    for split, path in lists.items():
        entries, complaints = _read_list(path)
        wrong += complaints
        labels_of, repeats, not_one = _joined(path, entries)
        found.not_one = found.not_one or not_one
        present = set(images_below(path.parent))
        missing = [file for file in labels_of if not _is_there(path.parent, file, present)]
        if missing:
            wrong.append(
                f"{len(missing):,} of the {len(labels_of):,} files in {path} {_verb(missing)} missing "
                f"({_some(missing)})"
            )
        if unlisted := sorted(present - labels_of.keys()):
            found.warnings.append(
                f"left out {_count(unlisted, 'image')} in {path.parent}, not in its {LIST} ({_some(unlisted)})"
            )
        if repeats:
            found.warnings.append(
                f"{_count(repeats, 'line')} of {path} {'repeats' if len(repeats) == 1 else 'repeat'} an earlier one "
                f"({_some(repeats)})"
            )
        found.splits[split] = [(path.parent / file, labels) for file, labels in labels_of.items()]
    if wrong:
        raise SourceError("; ".join(wrong))
    if "all" in lists:
        found.warnings += _of_folders_named_like_splits(lists["all"].parent)
    return found


def _joined(path: Path, entries: list[_Entry]) -> tuple[dict[str, tuple[str, ...]], list[str], str]:
    """Each file with all its labels; files of lines that say nothing new; and as `LabelledFiles.not_one`."""
    labels_of: dict[str, tuple[str, ...]] = {}
    repeats: list[str] = []
    not_one = ""
    for line, file, labels in entries:
        before = labels_of.get(file)
        if before is not None and set(before) == set(labels):
            repeats.append(file)
            continue
        labels_of[file] = tuple(dict.fromkeys((*(before or ()), *labels)))
        if not_one or (before is None and len(labels) == 1):
            continue
        has = f"has {len(labels)} labels" if labels else "has no label"
        said = has if before is None else "is listed again, with other labels,"
        not_one = f"{file} {said} in line {line:,} of {path}"
    return labels_of, repeats, not_one


def _of_folders_named_like_splits(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name.lower() in SPLITS)
    if not names:
        return []
    return [f"{', '.join(names)} in {folder} are not taken for splits: put a {LIST} into each of them for that"]


def _read_list(path: Path) -> tuple[list[_Entry], list[str]]:
    """The lines of a list; and what is wrong with it."""
    entries: list[_Entry] = []
    malformed: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = (row for row in reader if len(row) > 1 or "".join(row).strip())  # a blank line is none
            for number, row in enumerate(rows):
                if number == 0 and _is_header(row):
                    continue
                try:
                    entries.append((reader.line_num, *_parse(row)))
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
    return entries, complaints


def _is_header(row: list[str]) -> bool:
    names = [name.strip().strip("\"'\ufeff").strip().lower() for name in row]
    return len(names) == 2 and names[0] in FILE_COLUMN and names[1] in LABEL_COLUMN


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
