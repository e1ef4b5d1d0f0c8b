"""Groups of images that the user defines, such as those of one patient, one burst or one video.

The key of an image's group is its value in a column of the list, or the match of a regular expression in its name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vouch.sources.column_names import listed
from vouch.sources.errors import SourceError
from vouch.sources.left_out import some
from vouch.sources.name_pattern import Match, groups_in, matches_in


@dataclass(frozen=True)
class Groups:
    """The groups of a source."""

    names: tuple[str, ...]
    """The keys of the groups, in order of first occurrence."""
    how: str
    """The origin of the keys: `column patient of photos/labels.csv`."""

    def sentence(self, numbers: Iterable[np.ndarray | None]) -> str:
        """A sentence with the number of groups and images.

        Args:
            numbers: for each split, positions in `names`, shape (N,).
        """
        together = np.concatenate([one for one in numbers if one is not None])
        count = len(np.unique(together))
        return f"groups: {count:,} in {len(together):,} images, by {self.how}"


@dataclass(frozen=True)
class GroupedFiles:
    """The keys of the files' groups."""

    keys: Mapping[Path, str]
    how: str
    """The origin of the keys, as in `Groups`."""

    def numbered(self, parts: Sequence[Sequence[Path]]) -> tuple[Groups, list[np.ndarray]]:
        """The groups of all splits' files, and for each split the positions of its files' groups, int64."""
        number: dict[str, int] = {}
        numbers = [
            np.array([number.setdefault(self.keys[path], len(number)) for path in part], dtype=np.int64)
            for part in parts
        ]
        return Groups(tuple(number), self.how), numbers


def grouped_by_names(pattern: str, folder: Path, paths: Sequence[Path], columns: Sequence[str] = ()) -> GroupedFiles:
    """Groups files by a match in their names: by the first capturing group that matches, else by the whole match. A
    file whose whole name matches without a capturing group is a group of its own.

    Args:
        pattern: searched in a file's name, or if it has a slash, in the path below the folder.
        columns: the columns of the list, for messages.

    Raises:
        SourceError: it is not a regular expression, takes too long, or does not match a file's name.
    """
    said = f"--groups {pattern}"
    if columns:
        said += f": the list has no such column (it has {listed(list(columns))}); as an expression on file names, it"
    try:
        groups_in(pattern)
    except ValueError as err:
        raise SourceError(f"{said} is not a regular expression: {err}") from err
    names = [path.relative_to(folder).as_posix() for path in paths]
    found = matches_in("--groups", pattern, names)
    keys = {path: key for path, name, match in zip(paths, names, found, strict=True) if (key := _key(match, name))}
    if without := [name for path, name in zip(paths, names, strict=True) if path not in keys]:
        others = f"; '{pattern}|.*' makes each other file a separate group" if len(without) < len(paths) else ""
        raise SourceError(
            f"{said} does not match {len(without):,} of {len(paths):,} file names ({some(without)}){others}"
        )
    return GroupedFiles(keys, f"the match of '{pattern}' in their {'paths' if '/' in pattern else 'names'}")


def _key(match: Match | None, path: str) -> str:
    """The key of a file's group; empty without a match.

    Args:
        path: below the folder. It is the key if the whole name matches without a capturing group, because files in
            other folders may have the same name.
    """
    if match is None:
        return ""
    whole, *groups = match
    key = next((one for one in groups if one is not None), None)
    if key is None:
        key = path if whole == path.rpartition("/")[2] else whole or ""
    return key.strip()


def check_several(name: str, grouped: GroupedFiles) -> None:
    """
    Args:
        name: the data's name in messages.

    Raises:
        SourceError: there is only one group, which cannot be split.
    """
    if len(keys := set(grouped.keys.values())) == 1:
        raise SourceError(
            f"all {len(grouped.keys):,} images of {name} are in one group, {keys.pop()[:50]}, by {grouped.how}; "
            "expected several groups, so that each split has some"
        )
