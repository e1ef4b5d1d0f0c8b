"""Files in the data that are not read: counted by reason, with the first names. Reads no file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from vouch.sources.errors import SourceError

Reason = Literal[
    "broken",
    "unlabelled",
    "unlisted",
    "copy",
    "other_kind",
    "missing",
    "other_file",
    "system",
    "empty_folder",
    "dangling_link",
    "linked_again",
]
SAID: dict[Reason, tuple[str, str]] = {
    "broken": ("image that cannot be read", "images that cannot be read"),
    "unlabelled": ("image without a label", "images without a label"),
    "unlisted": ("image that no list names", "images that no list names"),
    "copy": ("image in a copy of the folders beside it", "images in a copy of the folders beside it"),
    "other_kind": ("image of an unsupported kind", "images of unsupported kinds"),
    "missing": ("file that a list names but that is missing", "files that a list names but that are missing"),
    "other_file": ("file that is not an image", "files that are not images"),
    "system": ("hidden or system file", "hidden or system files"),
    "empty_folder": ("folder without an image", "folders without an image"),
    "dangling_link": ("broken link", "broken links"),
    "linked_again": ("link to a folder that was already read", "links to folders that were already read"),
}
"""Reason -> its name for one file, and for several."""
IMAGES: tuple[Reason, ...] = ("broken", "unlabelled", "unlisted", "copy", "other_kind")
"""Reasons for not reading an existing image."""
KEPT, NAMED = 20, 3
"""At most this many names are kept, and shown in a sentence."""
FEW, FEW_SHARE = 5, 0.01
"""At most this many broken images, or this share of all, are left out; more are an error."""


@dataclass(frozen=True)
class Things:
    """The files left out for one reason."""

    count: int
    names: tuple[str, ...]
    """The first files, as paths below the data's folder; broken images with their errors."""


@dataclass(frozen=True)
class LeftOut:
    """All files that were left out."""

    by_reason: Mapping[Reason, Things] = field(default_factory=dict)
    """No reason has a count of 0."""

    @classmethod
    def of(cls, found: Mapping[Reason, Sequence[str]]) -> "LeftOut":
        """Left-out files from all names for each reason."""
        return cls({reason: Things(len(names), tuple(names[:KEPT])) for reason, names in found.items() if names})

    def __add__(self, other: "LeftOut") -> "LeftOut":
        both = dict(self.by_reason)
        for reason, things in other.by_reason.items():
            before = both.get(reason, Things(0, ()))
            both[reason] = Things(before.count + things.count, (before.names + things.names)[:KEPT])
        return LeftOut(both)

    def __bool__(self) -> bool:
        return bool(self.by_reason)

    @property
    def images(self) -> int:
        """The number of images that were left out."""
        return sum(things.count for reason, things in self.by_reason.items() if reason in IMAGES)

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each reason that concerns images."""
        return tuple(_sentence(reason, things) for reason, things in self.by_reason.items() if reason in IMAGES)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each other reason."""
        return tuple(_sentence(reason, things) for reason, things in self.by_reason.items() if reason not in IMAGES)

    def sentences(self) -> tuple[str, ...]:
        """Both, images first."""
        return self.warnings() + self.notes()

    def as_json(self) -> dict[str, Any]:
        """`{"images": 2, "broken": {"count": 2, "names": [...]}, ...}`."""
        found: dict[str, Any] = {"images": self.images}
        for reason, things in self.by_reason.items():
            found[reason] = {"count": things.count, "names": list(things.names)}
        return found


ALL_READ = LeftOut()
"""Nothing was left out."""


def check_strict(name: str, left_out: LeftOut) -> None:
    """The check of `--strict`.

    Args:
        name: the data's name in messages.

    Raises:
        SourceError: anything was left out.
    """
    if left_out:
        images_first = sorted(left_out.by_reason.items(), key=lambda entry: entry[0] not in IMAGES)
        found = "; ".join(_counted(*entry) for entry in images_first)
        raise SourceError(f"--strict: {name} has files that would be left out: {found}; remove or repair them")


def are_few(count: int, total: int) -> bool:
    """Whether this many broken images are left out, not an error: up to five, or up to 1 %."""
    return count <= FEW or count <= FEW_SHARE * total


def some(names: Iterable[str], most: int = NAMED) -> str:
    """The first few, with `...` if there are more."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def _sentence(reason: Reason, things: Things) -> str:
    return f"left out {_counted(reason, things)}"


def _counted(reason: Reason, things: Things) -> str:
    what = SAID[reason][things.count != 1]
    more = ", ..." if things.count > NAMED else ""
    return f"{things.count:,} {what} ({', '.join(things.names[:NAMED])}{more})"
