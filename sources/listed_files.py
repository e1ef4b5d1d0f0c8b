"""Which image of a folder a list means: by its path, or by less of it where that can only be one.

Of names that are written otherwise than on the disk, those are found that nothing else could be meant by: backslashes,
absolute paths below the folder, letters composed otherwise, no folder, no ending. Reads no image.
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
"""How a name was taken: as a path from the folder on, so with letters composed otherwise, from the folder's own name
on, by less than its path; or why it was not."""


class FilesOnDisk:
    """The images below a folder, as lists may call them."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: where the paths of a list begin.

        Raises:
            OSError: it cannot be read.
        """
        self.folder = folder
        walk = Walk(folder)
        self.present = frozenset(walk.images_below(folder))
        self.left_out: Mapping[Reason, list[str]] = walk.left_out

    def find(self, name: str, split: str = "") -> tuple[str, How]:
        """The path from the folder on, with `/` between, and how it was found.

        Args:
            name: as the list has it.
            split: what the list calls the split it is in; decides between `train/1.png` and `test/1.png`.

        Where it was not, the path is the one that was asked for; `ambiguous`: those that it may mean, in words.
        """
        file = name.strip()
        if file in self.present:
            return file, "path"
        if "\0" in file:
            return file, "outside"
        as_written = self._is_there(file)  # a backslash may belong to a name
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
        """An image whose name differs in its case or its ending alone, for a message; empty where there is none."""
        folded = _composed(file).casefold()
        return self._folded.get(folded) or self._folded_stems.get(_stem(folded), "")

    def _is_there(self, file: str) -> bool:
        path = PurePosixPath(file)
        if not path.parts or path.is_absolute() or ".." in path.parts:
            return False
        if path.as_posix() in self.present:
            return True
        try:
            return (self.folder / path).is_file()  # of another ending, hidden, or behind a link to a folder
        except OSError as err:
            if err.errno == errno.ENAMETOOLONG:
                return False
            raise

    def _from_folder(self, file: str) -> str:
        """The path from the folder on; empty where it leads out of it."""
        path = PurePosixPath(file.replace("\\", "/"))
        if path.is_absolute():
            for folder in self._places:
                if path.is_relative_to(folder.as_posix()):
                    path = path.relative_to(folder.as_posix())
        outside = not path.parts or path.is_absolute() or ".." in path.parts or PureWindowsPath(file).drive
        return "" if outside else path.as_posix()

    @cached_property
    def _places(self) -> tuple[Path, Path]:
        """The folder from the root on, as it is called and as it is."""
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
    """How many of these names mean an image, or one of several."""
    return sum(disk.find(name)[1] not in ("missing", "outside") for name in names)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _stem(file: str) -> str:
    return file.rpartition(".")[0] if is_image(file) else file
