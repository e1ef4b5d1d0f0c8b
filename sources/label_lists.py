"""Lists of files with their labels: lines such as `birds/7.jpg,wren`, or `birds/7.jpg,blue;small`.

If every file has exactly one label, it is the file's class; if a file has several or none, all may have any number. One
message reports all errors in the lists of a folder.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.finding_lists import LIST, FoundList, FoundLists
from vouch.sources.groups import GroupedFiles
from vouch.sources.left_out import ALL_READ, LeftOut
from vouch.sources.list_columns import group_of, label_parser
from vouch.sources.listed_files import How
from vouch.sources.split_names import SplitName, how_taken, is_split, is_test, split_in, splits_of

LINE = (
    "FILE,LABEL or FILE,LABEL;LABEL, with FILE a path below the list's folder, and nothing after the comma for no label"
)


@dataclass(frozen=True)
class _Entry:
    """The content of a line."""

    line: int
    file: str
    """Path below the list's folder."""
    labels: tuple[str, ...]
    split: str = ""
    """The split's name in the line."""
    group: str = ""
    """The key of its group, if a column has groups."""


@dataclass
class LabelledFiles:
    """The files named in a folder's lists."""

    splits: dict[SplitName, list[tuple[Path, tuple[str, ...]]]] = field(default_factory=dict)
    """Split, or `all` without splits -> files with their labels, in the order of the list."""
    warnings: list[str] = field(default_factory=list)
    """Warnings about repeated lines and about ignored tables and folders, a sentence each."""
    left_out: LeftOut = ALL_READ
    """Images that no list names, and files that are not images."""
    notes: list[str] = field(default_factory=list)
    """How splits and columns were interpreted, a sentence each."""
    not_one: str = ""
    """A phrase about the first file with several labels or none; empty if every file has exactly one."""
    groups: GroupedFiles | None = None
    """The groups, if a column defines them."""


@dataclass
class _List:
    """The result of reading one list."""

    entries: list[_Entry] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    by_how: Counter[How] = field(default_factory=Counter)
    """The number of files by how they were found."""


def read_lists(folder: Path, found: FoundLists) -> LabelledFiles:
    """The files named in these lists; all exist.

    Args:
        folder: names of left-out files are relative to it.

    Raises:
        SourceError: malformed lines, missing files, or no line at all; one message reports all errors.
    """
    listed = LabelledFiles()
    wrong: list[str] = []
    used: dict[Path, set[str]] = {}
    keys: dict[Path, str] = {}
    for split, one in found.lists.items():
        gone_through = _go_through(one, splits=split == "all" and one.columns.split is not None)
        wrong += _complaints(one, gone_through)
        listed.notes += _how_read(one, gone_through)
        entries, unlabelled = _without_unlabelled(gone_through.entries, _is_test_list(found, split))
        listed.left_out += LeftOut.of({"unlabelled": [_from(folder, one, entry.file) for entry in unlabelled]})
        labels_of, repeats, not_one = _joined(one.path, entries)
        listed.not_one = listed.not_one or not_one
        used.setdefault(one.disk.folder, set()).update(entry.file for entry in gone_through.entries)
        if repeats:
            verb = "repeats" if len(repeats) == 1 else "repeat"
            listed.warnings.append(f"{_count(repeats, 'line')} of {one.path} {verb} an earlier one ({_some(repeats)})")
        splits = {entry.file: entry.split for entry in entries}
        meaning = splits_of(dict.fromkeys(splits.values()), f"column {one.columns.split_name} of {one.path}")
        listed.notes += [how_taken(meaning)] * bool(meaning)
        for file, labels in labels_of.items():
            part = listed.splits.setdefault(meaning.get(splits[file], split), [])
            part.append((one.disk.folder / file, labels))
        keys |= {one.disk.folder / entry.file: entry.group for entry in entries if entry.group}
    if wrong:
        raise SourceError("; ".join(wrong))
    if names := {name: split for name, split in found.names.items() if split in listed.splits}:
        listed.notes.insert(0, how_taken(names))
    listed.left_out += _left_out(folder, found, used)
    listed.warnings += _not_taken(found)
    listed.groups = GroupedFiles(keys, _column_of_groups(found)) if keys else None
    return listed


def _go_through(one: FoundList, splits: bool) -> _List:
    """
    Args:
        splits: whether each line contains its split.
    """
    result = _List()
    labels_in = label_parser(one.columns)
    place: dict[str, tuple[str, str]] = {}
    for line, row in one.rows[bool(one.columns.names) :]:
        try:
            if len(row) != one.columns.count:
                raise ValueError(f"{_count(row, 'value')} instead of {one.columns.count}")
            name, labels = row[one.columns.file], labels_in(row)
            split = _split_of(row, one) if splits else ""
            file, how = one.disk.find(name, split or split_in(one.path.stem))
            if how == "outside":
                raise ValueError(f"{name.strip()[:99]!r} is not a path below the list's folder")
            if how == "ambiguous":
                raise ValueError(f"{name.strip()[:99]!r} could be {file}; write the path")
            group = group_of(one.columns, row)
            if place.setdefault(file, (split, group)) != (split, group):
                raise ValueError(f"{file} is in {_both(place[file], (split, group))}")
        except ValueError as err:
            result.malformed.append(f"line {line}: {err}")
            continue
        result.by_how[how] += 1
        result.entries.append(_Entry(line, file, labels, split, group))
        if how == "missing":
            result.missing.append(file)
    return result


def _is_test_list(found: FoundLists, split: SplitName) -> bool:
    """Whether a list is of a test split, and another list is of a split that is trained on."""
    names = (name for name, meant in found.names.items() if meant == split)
    return "fit" in found.lists and any(is_test(split_in(Path(name).stem)) for name in names)


def _without_unlabelled(entries: list[_Entry], test: bool) -> tuple[list[_Entry], list[_Entry]]:
    """The entries with labels, and the entries of a test split without labels, if another split has labels.

    Args:
        test: whether all are of a test split.
    """
    if test and not any(entry.labels for entry in entries):
        return [], entries
    labelled = {entry.split for entry in entries if entry.labels}
    aside = {entry.split for entry in entries if is_test(entry.split)} - labelled if labelled else set()
    return [one for one in entries if one.split not in aside], [one for one in entries if one.split in aside]


def _from(folder: Path, one: FoundList, file: str) -> str:
    return (one.disk.folder.relative_to(folder) / file).as_posix()


def _split_of(row: list[str], one: FoundList) -> str:
    split = row[one.columns.split or 0].strip()
    if not is_split(split):
        raise ValueError(f"{split[:30]!r} in column {one.columns.split_name} is not a split")
    return split


def _both(first: tuple[str, str], second: tuple[str, str]) -> str:
    """The difference between two splits with their groups: `train and in val`."""
    before, after = next(pair for pair in zip(first, second, strict=True) if pair[0] != pair[1])
    return f"{before} and in {after}"


def _column_of_groups(found: FoundLists) -> str:
    """The column that defines the groups, in words.

    Raises:
        SourceError: only some lists have it.
    """
    lists = list(found.lists.values())
    columns = {one.path: one.columns for one in lists}
    has = [path for path, one in columns.items() if one.group is not None]
    column = columns[has[0]].names[columns[has[0]].group or 0]
    if without := [str(path) for path in columns if path not in has]:
        raise SourceError(f"{has[0]} has a column {column}, but {without[0]} has none; expected it in every list")
    return f"column {column} of {has[0] if len(has) == 1 else f'each {has[0].name}'}"


def _complaints(one: FoundList, found: _List) -> list[str]:
    """The errors in a list, a sentence each."""
    complaints: list[str] = []
    if found.malformed:
        plain = one.columns.count == 2 and one.writing.separator == ","
        expected = LINE if plain else f"{one.columns.count} values with a file's path and its labels"
        shown = "; ".join(found.malformed[:3]) + ("; ..." if len(found.malformed) > 3 else "")
        lines = f"{_count(found.malformed, 'line')} of {one.path} {_verb(found.malformed)} not"
        more = not one.columns.names and any(len(row) > 2 for _, row in one.rows)
        advice = "; for more columns, add a header that names them" if more else ""
        complaints.append(f"{lines} {expected} ({shown}){advice}")
    elif not found.entries:
        complaints.append(f"{one.path} lists no files; expected lines of {LINE}")
    if missing := list(dict.fromkeys(found.missing)):
        files = len({entry.file for entry in found.entries})
        like = next(((file, near) for file in missing[:99] if (near := one.disk.like(file))), None)
        hint = f"; {like[0]} exists as {like[1]}: write it with the same case and suffix" if like else ""
        complaints.append(
            f"{len(missing):,} of the {files:,} files in {one.path} {_verb(missing)} missing ({_some(missing)}){hint}"
        )
    return complaints


def _how_read(one: FoundList, found: _List) -> list[str]:
    """How a list was interpreted, if it is unusual."""
    words = one.writing.in_words() + one.columns.in_words()
    if found.by_how["name"]:
        words.append(f"{found.by_how['name']:,} files found by only a part of their path")
    return [f"{one.path}: {'; '.join(words)}"] if words else []


def _left_out(top: Path, found: FoundLists, used: Mapping[Path, set[str]]) -> LeftOut:
    """Images that no list names, and other files in the folders, without the lists themselves."""
    left_out = ALL_READ
    tables = {one.path for one in found.lists.values()} | {top / name for name in found.aside}
    for folder, files in used.items():
        disk = next(one.disk for one in found.lists.values() if one.disk.folder == folder)
        begin = folder.relative_to(top)
        others = {
            reason: [(begin / name).as_posix() for name in names if name not in files and folder / name not in tables]
            for reason, names in disk.left_out.items()
        }
        unlisted = [(begin / name).as_posix() for name in sorted(disk.present - files)]
        left_out += LeftOut.of({"unlisted": unlisted, **others})
    return left_out


def _not_taken(found: FoundLists) -> list[str]:
    """Warnings about ignored tables and folders, a sentence each."""
    sentences: list[str] = []
    if found.aside:
        verb = "list" if len(found.aside) > 1 else "lists"
        sentences.append(f"ignored {', '.join(found.aside)}, which {verb} files too")
    whole = found.lists.get("all")
    if whole is not None and whole.columns.split is None:
        sentences += _of_folders_named_like_splits(whole.disk.folder)
    return sentences


def _joined(path: Path, entries: list[_Entry]) -> tuple[dict[str, tuple[str, ...]], list[str], str]:
    """Each file with all its labels; files of lines that repeat earlier ones; and text for `LabelledFiles.not_one`."""
    labels_of: dict[str, tuple[str, ...]] = {}
    repeats: list[str] = []
    not_one = ""
    for entry in entries:
        line, file, labels = entry.line, entry.file, entry.labels
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
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and is_split(path.name))
    if not names:
        return []
    return [f"{', '.join(names)} in {folder} are not used as splits: for that, put a {LIST} into each of them"]


def _count(what: Sequence[str], noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{len(what):,} {noun}{'s' * (len(what) != 1)}"


def _verb(what: Sequence[str]) -> str:
    return "is" if len(what) == 1 else "are"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
