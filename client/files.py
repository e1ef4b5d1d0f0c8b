"""The files that a command line names: files, folders with all folders in them, and standard input.

Lists files, and reads the first bytes of files whose names do not show their kind. Reads no image.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vouch.bundle.images.kinds import kind_of
from vouch.client.images import is_url
from vouch.sources.image_kinds import SUFFIXES
from vouch.sources.rewriting import is_rewritten

STANDARD_INPUT = "-"
BEGINNING_BYTES = 32
"""A file's first bytes, which show its kind."""
NAMED_KINDS = 5


@dataclass(frozen=True)
class File:
    """A file to classify."""

    name: str
    """As the user typed it, or below the folder that the user typed; `-` for standard input."""
    fault: str = ""
    """What is wrong with it, if that is known before it is read."""


@dataclass
class Listing:
    """The files in the order of the words; a folder's files sorted by name."""

    files: list[File] = field(default_factory=list)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)
    """Folder -> kind -> the number of other files and folders that were left out."""

    def notes(self) -> list[str]:
        """A sentence for each folder from which something was left out."""
        return [f"{folder}: {left_out_of(kinds)}" for folder, kinds in self.left_out.items()]


def list_files(words: Sequence[str]) -> Listing:
    """Lists the files. Every word gives at least one entry; if it cannot be listed, an entry with the reason."""
    listing = Listing()
    for word in words:
        if word == STANDARD_INPUT and File(word) in listing.files:
            listing.files.append(File(word, "is given twice, but can be read only once"))
        elif word in ("", STANDARD_INPUT) or not _is_folder(Path(word)):
            listing.files.append(File(word, _fault(word)))
        else:
            _list_folder(word, listing)
    return listing


def left_out_of(kinds: Counter[str]) -> str:
    """`12 other files and folders are left out (9 .webp, 3 .txt)`."""
    named = kinds.most_common(NAMED_KINDS)
    listed = [f"{count:,} {kind}" for kind, count in named]
    if rest := kinds.total() - sum(count for _, count in named):
        listed.append(f"{rest:,} more")
    others = "1 other file or folder is" if kinds.total() == 1 else f"{kinds.total():,} other files and folders are"
    return f"{others} left out ({', '.join(listed)})"


def _fault(word: str) -> str:
    if not word:
        return "is an empty name; expected a file, a folder, or - for standard input"
    if is_url(word):
        return "is a URL; vouch predict reads files: download it first"
    return ""


def _list_folder(top: str, listing: Listing) -> None:
    walk = _Walk()
    walk.enter(top)
    files = sorted(walk.files, key=lambda file: Path(file.name).parts)
    listing.files += files
    if walk.left_out:
        listing.left_out[top] = walk.left_out
    if not files:
        listing.files.append(File(top, "contains no image file"))


class _Walk:
    """Walks a folder and those in it. Links to folders come last; no folder is walked twice: links may form cycles."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self.left_out: Counter[str] = Counter()
        self._entered: set[tuple[int, int]] = set()

    def enter(self, top: str) -> None:
        folders, links = [top], list[str]()
        while folders or links:
            links.sort(reverse=True)  # of two links to one folder, the first by name counts
            folder = folders.pop() if folders else links.pop()
            try:
                about = Path(folder).stat()
                if (about.st_dev, about.st_ino) in self._entered:
                    self.left_out["linked a second time"] += 1
                    continue
                self._entered.add((about.st_dev, about.st_ino))
                for inner in self._look(folder):
                    (links if inner.is_symlink() else folders).append(inner.path)
            except OSError as err:
                self.files.append(File(folder, f"cannot be read: {err.strerror}"))

    def _look(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """Adds the folder's files, and yields its folders."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    self.left_out["hidden"] += 1
                elif _is_folder(entry):
                    yield entry
                elif _is_special(entry):
                    self.left_out["pipes and devices"] += 1
                elif _is_image(entry):
                    self.files.append(File(entry.path))
                else:
                    self.left_out[Path(entry.name).suffix.lower() or "without an ending"] += 1


def _is_folder(entry: os.DirEntry[str] | Path) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or a name that is too long; reading the file reports it
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether opening it may block, or reading it may never end."""
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link to nothing or to itself
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether it is an image: by its suffix, even if it cannot be read; otherwise by its first bytes."""
    if entry.name.lower().endswith(SUFFIXES):
        return True
    try:
        with Path(entry.path).open("rb") as file:
            beginning = file.read(BEGINNING_BYTES)
            return kind_of(beginning) is not None or is_rewritten(beginning)
    except OSError:
        return False
