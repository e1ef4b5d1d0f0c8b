"""The image files below a folder, and the other files by reason. Lists folders and reads no file.

Links to folders are followed, and each folder is read once: a link to a parent folder, or to one that was already read,
is left out, so that every walk ends.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vouch.sources.errors import SourceError
from vouch.sources.image_kinds import is_image, is_other_image
from vouch.sources.left_out import Reason

OF_SYSTEMS = {
    "__macosx", "@eadir", "#recycle", "@tmp", "$recycle.bin", "system volume information", "lost+found", "__pycache__",
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r",
}  # fmt: skip
"""Names given by operating systems, in lower case; hidden names begin with a dot."""
MOST_FILES = 10_000_000
"""The most files of any kind below a folder: their list takes a few GB."""

Id = tuple[int, int]
"""Device and inode of a folder."""


@dataclass
class Walk:
    """A walk through a folder, part by part; each folder below it is read once."""

    top: Path
    left_out: dict[Reason, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Paths below the top folder, with `/` between."""
    _read: set[Id] = field(default_factory=set, init=False)
    _count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        for folder in (self.top, *self.top.resolve().parents):
            self._read.add(_id_of(folder.stat()))

    def entries(self, folder: Path) -> tuple[list[str], list[str]]:
        """The folders and the image files in a folder, sorted by name; other files are left out.

        Raises:
            SourceError: there are too many.
            OSError: the folder cannot be read.
        """
        folders: list[str] = []
        images: list[str] = []
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        self._count += len(entries)
        if self._count > MOST_FILES:
            raise SourceError(f"{self.top} has more than {MOST_FILES:,} files; use a part of them")
        for entry in entries:
            if is_of_system(entry.name):
                self.leave_out("system", folder, entry.name)
            elif _is_folder(entry):
                folders.append(entry.name)
            elif is_image(entry.name):
                images.append(entry.name)  # a broken link is found when it is opened
            else:
                self.leave_out(_why_not(entry), folder, entry.name)
        return folders, images

    def enter(self, folder: Path) -> bool:
        """Whether the folder is read for the first time; marks it as read."""
        identity = _id_of(folder.stat())
        if identity in self._read:
            self.leave_out("linked_again", folder)
            return False
        self._read.add(identity)
        return True

    def images_below(self, folder: Path) -> Iterator[str]:
        """The image files at any depth, as paths below the folder with `/` between, a folder's files first."""
        waiting = [""]
        while waiting:
            inner = waiting.pop()
            folders, images = self.entries(folder / inner)
            if not folders and not images:
                self.leave_out("empty_folder", folder, inner)
            yield from (f"{inner}{name}" for name in images)
            waiting += (f"{inner}{name}/" for name in reversed(folders) if self.enter(folder / inner / name))

    def leave_out(self, reason: Reason, folder: Path, name: str = "") -> None:
        """Counts a file or folder that is not read."""
        self.left_out[reason].append((folder / name).relative_to(self.top).as_posix())


def images_below(folder: Path) -> Iterator[str]:
    """The image files below a folder, as `Walk.images_below`."""
    return Walk(folder).images_below(folder)


def is_of_system(name: str) -> bool:
    """Whether a name is hidden, or given by an operating system."""
    return name.startswith(".") or name.lower() in OF_SYSTEMS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _why_not(entry: os.DirEntry[str]) -> Reason:
    if is_other_image(entry.name):
        return "other_kind"
    return "other_file" if not entry.is_symlink() or Path(entry.path).exists() else "dangling_link"


def _id_of(status: os.stat_result) -> Id:
    return status.st_dev, status.st_ino
