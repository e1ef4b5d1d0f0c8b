"""Which images belong together because somebody says so: those of one patient, one burst or one video.

The key of an image's group is its value in a column of the list, or what a regular expression finds in its file's name.
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
    """Their keys, in the order in which they were met."""
    how: str
    """Where the keys are from, in words: `column patient of photos/labels.csv`."""

    def sentence(self, numbers: Iterable[np.ndarray | None]) -> str:
        """How many there are, of how many images.

        Args:
            numbers: of each split, positions in `names`, shape (N,).
        """
        together = np.concatenate([one for one in numbers if one is not None])
        count = len(np.unique(together))
        return f"groups: {count:,} in {len(together):,} images, by {self.how}"


@dataclass(frozen=True)
class GroupedFiles:
    """Files with the keys of their groups."""

    keys: Mapping[Path, str]
    how: str
    """As in `Groups`."""

    def numbered(self, parts: Sequence[Sequence[Path]]) -> tuple[Groups, list[np.ndarray]]:
        """The groups of the files of several splits, and for each split the numbers of its files', int64."""
        number: dict[str, int] = {}
        numbers = [
            np.array([number.setdefault(self.keys[path], len(number)) for path in part], dtype=np.int64)
            for part in parts
        ]
        return Groups(tuple(number), self.how), numbers


def grouped_by_names(pattern: str, folder: Path, paths: Sequence[Path], columns: Sequence[str] = ()) -> GroupedFiles:
    """Groups by what is found in the names of files: by the first group of the expression that took part, else by all;
    a file whose whole name is found so is a group of its own.

    Args:
        pattern: looked for in a file's name, or in its path from the folder on where it has a slash itself.
        columns: of a list, none of which is called so, for messages.

    Raises:
        SourceError: it is no regular expression, it takes too long, or it finds nothing in a file's name.
    """
    said = f"--groups {pattern}"
    if columns:
        said += f": the list has no such column (it has {listed(list(columns))}); as an expression on files' names, it"
    try:
        groups_in(pattern)
    except ValueError as err:
        raise SourceError(f"{said} is none: {err}") from err
    names = [path.relative_to(folder).as_posix() for path in paths]
    found = matches_in("--groups", pattern, names)
    keys = {path: key for path, name, match in zip(paths, names, found, strict=True) if (key := _key(match, name))}
    if without := [name for path, name in zip(paths, names, strict=True) if path not in keys]:
        others = f"; '{pattern}|.*' makes each of the others a group of its own" if len(without) < len(paths) else ""
        raise SourceError(
            f"{said} finds nothing in {len(without):,} of {len(paths):,} files' names ({some(without)}){others}"
        )
    return GroupedFiles(keys, f"what '{pattern}' finds in their {'paths' if '/' in pattern else 'names'}")


def _key(match: Match | None, path: str) -> str:
    """Of a file's group; empty where nothing is found.

    Args:
        path: from the folder on. It is the key where no group took part and the whole name is found, which files in
            other folders may have too.
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
        name: what messages call the data.

    Raises:
        SourceError: there is one group alone, so nothing could be divided.
    """
    if len(keys := set(grouped.keys.values())) == 1:
        raise SourceError(
            f"all {len(grouped.keys):,} images of {name} are of one group, {keys.pop()[:50]}, by {grouped.how}; "
            "expected several, of which each is in one split"
        )
