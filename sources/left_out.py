"""What lies among the data and is not read: counted by reason, the first few named. Reads nothing."""

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
    "other_kind": ("image of a kind that is not read", "images of kinds that are not read"),
    "missing": ("file that a list names and that is not there", "files that a list names and that are not there"),
    "other_file": ("file that is no image", "files that are no images"),
    "system": ("hidden file, or one of the system", "hidden files, or files of the system"),
    "empty_folder": ("folder without an image", "folders without an image"),
    "dangling_link": ("link that leads to nothing", "links that lead to nothing"),
    "linked_again": ("link to a folder that is read already", "links to folders that are read already"),
}
"""One of them, and several."""
IMAGES: tuple[Reason, ...] = ("broken", "unlabelled", "unlisted", "copy", "other_kind")
"""Reasons for which an image that is there is not read."""
KEPT, NAMED = 20, 3
"""Names that are kept, and that a sentence has."""
FEW, FEW_SHARE = 5, 0.01
"""So many broken images are left out, or this share of all; more are an error."""


@dataclass(frozen=True)
class Things:
    """What was left out for one reason."""

    count: int
    names: tuple[str, ...]
    """The first of them, as paths from the data's folder on; of broken images with what is wrong."""


@dataclass(frozen=True)
class LeftOut:
    """All that was left out."""

    by_reason: Mapping[Reason, Things] = field(default_factory=dict)
    """No reason has a count of 0."""

    @classmethod
    def of(cls, found: Mapping[Reason, Sequence[str]]) -> "LeftOut":
        """With all the names of each reason."""
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
        """How many images."""
        return sum(things.count for reason, things in self.by_reason.items() if reason in IMAGES)

    def warnings(self) -> tuple[str, ...]:
        """A sentence for each reason for which images are left out."""
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
    """For `--strict`.

    Args:
        name: what messages call the data.

    Raises:
        SourceError: anything was left out.
    """
    if left_out:
        found = "; ".join(left_out.sentences())
        raise SourceError(f"--strict, and not all of {name} can be read: {found}; remove or repair them")


def are_few(count: int, total: int) -> bool:
    """Whether so many of all images are left out rather than an error: up to five, or up to 1 %."""
    return count <= FEW or count <= FEW_SHARE * total


def some(names: Iterable[str], most: int = NAMED) -> str:
    """The first few, and whether there are more."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def _sentence(reason: Reason, things: Things) -> str:
    what = SAID[reason][things.count != 1]
    more = ", ..." if things.count > NAMED else ""
    return f"left out {things.count:,} {what} ({', '.join(things.names[:NAMED])}{more})"
