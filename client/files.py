"""Which files the words of a command line mean: files, folders that are walked, and standard input.

Lists files and looks at the first bytes of those whose names do not say what they are; reads no image.
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
"""Of a file, which say of what kind it is."""
NAMED_KINDS = 5


@dataclass(frozen=True)
class File:
    """Something to classify."""

    name: str
    """As it was typed, or with the typed folder in front; `-` for standard input."""
    fault: str = ""
    """What is known to be wrong with it before anything is read."""


@dataclass
class Listing:
    """What the words mean, in their order; a folder's files in the order of their names."""

    files: list[File] = field(default_factory=list)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)
    """For each folder that holds other things than images: how many of which kind."""

    def notes(self) -> list[str]:
        """A sentence about each folder from which something was left out."""
        return [f"{folder}: {left_out_of(kinds)}" for folder, kinds in self.left_out.items()]


def list_files(words: Sequence[str]) -> Listing:
    """Every word gives at least one entry; what cannot be listed gives one that says why."""
    listing = Listing()
    for word in words:
        if word == STANDARD_INPUT and File(word) in listing.files:
            listing.files.append(File(word, "is named twice, and can be read once"))
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
        others = f"; {left_out_of(walk.left_out)}" if walk.left_out else ""
        listing.files.append(File(top, f"holds no image file{others}"))


class _Walk:
    """Through a folder and those in it. Linked ones come last, and none is entered twice: links may go in circles."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self.left_out: Counter[str] = Counter()
        self._entered: set[tuple[int, int]] = set()

    def enter(self, top: str) -> None:
        folders, links = [top], list[str]()
        while folders or links:
            links.sort(reverse=True)  # of two links to one folder the first by name counts
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
        """Notes the files, and yields the folders."""
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
    except OSError:  # a link in a circle, a name that is too long; reading it as a file says so
        return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether to open it would wait for somebody, or read without an end."""
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link to nothing, or in a circle
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """By its name's ending, also where it cannot be read; otherwise by its first bytes."""
    if entry.name.lower().endswith(SUFFIXES):
        return True
    try:
        with Path(entry.path).open("rb") as file:
            beginning = file.read(BEGINNING_BYTES)
            return kind_of(beginning) is not None or is_rewritten(beginning)
    except OSError:
        return False
