"""Finds the image that a list means: by its path, or by a part of the path that is unique.

Names that differ from the disk are found if they are unambiguous: backslashes, absolute paths below the folder, other
Unicode composition, no folder, no suffix. Reads no image.
"""

import errno
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal

from vouch.sources.image_kinds import is_image
from vouch.sources.left_out import Reason
from vouch.sources.split_names import same_split
from vouch.sources.walk import Walk

How = Literal["path", "composition", "folder", "name", "missing", "ambiguous", "outside"]
"""How a name was found: as a path below the folder, the same with other Unicode composition, as a path that begins with
the folder's own name, by a part of its path; or why it was not found."""


class FilesOnDisk:
    """The images below a folder, by the names that lists may use."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: paths in a list start from it.

        Raises:
            OSError: it cannot be read.
        """
        self.folder = folder
        walk = Walk(folder)
        self.present = frozenset(walk.images_below(folder))
        self.left_out: Mapping[Reason, list[str]] = walk.left_out

    def find(self, name: str, split: str = "") -> tuple[str, How]:
        """The path below the folder, with `/`, and how it was found.

        Args:
            name: as in the list.
            split: the split's name in the list; decides between `train/1.png` and `test/1.png`.

        If it is not found, the path is the one in the list; if it is `ambiguous`, a list of the possible paths.
        """
        file = name.strip()
        if file in self.present:
            return file, "path"
        if "\0" in file:
            return file, "outside"
        as_written = self._is_there(file)  # a backslash may be part of a name
        file = PurePosixPath(file).as_posix() if as_written else self._from_folder(file)
        if as_written or not file or self._is_there(file):
            return (file, "path") if file else (name, "outside")
        own = f"{self._places[1].name}/"
        if file.startswith(own) and self._is_there(file.removeprefix(own)):
            return file.removeprefix(own), "folder"
        return self._by_less(file, split)

    def _by_less(self, file: str, split: str) -> tuple[str, How]:
        ways: tuple[tuple[dict[str, list[str]], How], ...] = (
            (self._composed, "composition"),
            (self._without_ending, "name"),
            (self._without_folder, "name"),
            (self._bare, "name"),
        )
        for known, how in ways:
            if found := known.get(_composed(file)):
                found = [one for one in found if same_split(split, one.partition("/")[0])] or found
                return (found[0], how) if len(found) == 1 else (" or ".join(found[:3]), "ambiguous")
        return file, "missing"

    def like(self, file: str) -> str:
        """An image whose name differs only in case or suffix, for a message; empty if there is none."""
        folded = _composed(file).casefold()
        return self._folded.get(folded) or self._folded_stems.get(_stem(folded), "")

    def _is_there(self, file: str) -> bool:
        path = PurePosixPath(file)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            return False
        if path.as_posix() in self.present:
            return True
        try:
            return (self.folder / path).is_file()  # with another suffix, hidden, or below a linked folder
        except OSError as err:
            if err.errno == errno.ENAMETOOLONG:
                return False
            raise

    def _from_folder(self, file: str) -> str:
        """The path below the folder; empty if it leads out of the folder."""
        path = PurePosixPath(file.replace("\\", "/"))
        if path.is_absolute():
            for folder in self._places:
                if path.is_relative_to(folder.as_posix()):
                    path = path.relative_to(folder.as_posix())
        outside = not path.parts or path.is_absolute() or ".." in path.parts or PureWindowsPath(file).drive
        return "" if outside else path.as_posix()

    @cached_property
    def _places(self) -> tuple[Path, Path]:
        """The folder's absolute path, as given and with links resolved."""
        return self.folder.absolute(), self.folder.resolve()

    @cached_property
    def _composed(self) -> dict[str, list[str]]:
        return self._by(lambda file: file)

    @cached_property
    def _without_ending(self) -> dict[str, list[str]]:
        return self._by(_stem)

    @cached_property
    def _without_folder(self) -> dict[str, list[str]]:
        return self._by(lambda file: file.rpartition("/")[2])

    @cached_property
    def _bare(self) -> dict[str, list[str]]:
        return self._by(lambda file: _stem(file.rpartition("/")[2]))

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {_composed(file).casefold(): file for file in sorted(self.present, reverse=True)}

    @cached_property
    def _folded_stems(self) -> dict[str, str]:
        return {_stem(_composed(file)).casefold(): file for file in sorted(self.present, reverse=True)}

    def _by(self, key: Callable[[str], str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for file in sorted(self.present):
            found.setdefault(_composed(key(file)), []).append(file)
        return found


def count_found(disk: FilesOnDisk, names: Iterable[str]) -> int:
    """The number of these names that match one or several images."""
    return sum(disk.find(name)[1] not in ("missing", "outside") for name in names)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _stem(file: str) -> str:
    return file.rpartition(".")[0] if is_image(file) else file
