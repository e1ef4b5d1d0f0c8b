"""One line about the images that were read, for the user to check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vouch.bundle.multi_label import Task
from vouch.sources.examples import Source, images_of_each
from vouch.sources.images import Images, batches
from vouch.sources.left_out import ALL_READ, LeftOut

MOST_LISTED = 20
"""Up to this many classes are listed; of more, only the smallest and the largest."""
MOST_LETTERS = 40
"""The most characters of a class's name in the line."""
CHANNELS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}


@dataclass(frozen=True)
class Summary:
    """Labelled images by their numbers."""

    images: int
    task: Task
    classes: tuple[tuple[str, int], ...]
    """Classes with their numbers of images."""
    unlabelled: int
    """Multi-label: images without a label."""
    shape: tuple[int, ...]
    """Shape of an image as an array: (H, W) or (H, W, C)."""
    values: tuple[int, int]
    """The lowest and the highest pixel value."""
    file_sizes: tuple[tuple[int, int], ...]
    """Heights and widths of the files, sorted; empty for images from arrays."""
    deep: tuple[int, int, int] | None = None
    """The number of 16-bit files, and their lowest and highest samples; None without such files."""
    left_out: LeftOut = ALL_READ
    """Files that were not read."""

    @classmethod
    def of(cls, source: Source) -> "Summary":
        """The summary; reads every pixel once."""
        parts = list(source.splits.values())
        counts = np.sum([images_of_each(part.labels, len(source.classes)) for part in parts], axis=0).tolist()
        bare = sum(int((~part.labels.any(axis=1)).sum()) for part in parts if part.task == "multi_label")
        return cls(
            images=sum(map(len, parts)),
            task=source.task,
            classes=tuple(zip(source.classes, counts, strict=True)),
            unlabelled=bare,
            shape=parts[0].images.shape[1:],
            values=_extremes([part.images for part in parts]),
            file_sizes=tuple(sorted(source.headers.sizes) if source.headers else ()),
            deep=_deep([part.origins for part in parts if part.origins is not None]),
            left_out=source.left_out,
        )

    @property
    def colour(self) -> str:
        """The pixels' colour, in words."""
        return CHANNELS[self.shape[2] if len(self.shape) == 3 else 1]

    def sentence(self) -> str:
        """The line."""
        height, width = self.shape[:2]
        low, high = self.values
        deep = ""
        if self.deep:
            count, lowest, highest = self.deep
            which = "the files" if count == self.images else f"{count:,} files"
            deep = f" ({which} have 16 bits, {lowest:,} to {highest:,})"
        found = read_in_words(self.images, self.left_out)
        return (
            f"{found}: {in_words(self.task, self.classes, self.unlabelled)}, {height} x {width} "
            f"pixels{self._files()}, {self.colour}, values {low} to {high}{deep}"
        )

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "images": self.images,
            "task": self.task,
            "classes": dict(self.classes),
            "unlabelled": self.unlabelled,
            "height": self.shape[0],
            "width": self.shape[1],
            "channels": self.shape[2] if len(self.shape) == 3 else 1,
            "values": list(self.values),
            "file_sizes": len(self.file_sizes),
            "files_of_16_bits": self.deep[0] if self.deep else 0,
            "left_out": self.left_out.as_json(),
        }

    def _files(self) -> str:
        """The files' sizes, if the images were resized."""
        if not self.file_sizes or self.file_sizes == (self.shape[:2],):
            return ""
        by_area = sorted(self.file_sizes, key=lambda size: (size[0] * size[1], size))
        first, last = (f"{height} x {width}" for height, width in (by_area[0], by_area[-1]))
        if len(by_area) == 1:
            return f" (files of {first})"
        return f" (files of {len(by_area):,} sizes, {first} to {last})"


def read_in_words(images: int, left_out: LeftOut) -> str:
    """`read 360 images and left out 3`; without the second part if none was left out."""
    others = f" and left out {left_out.images:,}" if left_out.images else ""
    return f"read {images:,} image{'s' * (images != 1)}{others}"


def in_words(task: Task, classes: Sequence[tuple[str, int]], unlabelled: int = 0) -> str:
    """`2 classes (cat 120, dog 96)`; of many, the smallest and the largest.

    Args:
        classes: with their numbers of images.
        unlabelled: images without a label, for several labels.
    """
    one, several = ("label", "labels") if task == "multi_label" else ("class", "classes")
    if len(classes) <= MOST_LISTED:
        shown = ", ".join(map(_counted, classes))
    else:
        fewest, most = (pick(classes, key=lambda one: one[1]) for pick in (min, max))
        each = f"{fewest[1]:,} each, such as {_name(fewest[0])}"
        shown = each if fewest[1] == most[1] else f"from {_counted(fewest)} to {_counted(most)}"
    bare = f"; {unlabelled:,} {'image has' if unlabelled == 1 else 'images have'} none" if unlabelled else ""
    return f"{len(classes):,} {one if len(classes) == 1 else several} ({shown}{bare})"


def _deep(origins: Sequence[np.ndarray]) -> tuple[int, int, int] | None:
    deep = [part[part["deep"]] for part in origins]
    count = sum(map(len, deep))
    if not count:
        return None
    samples = np.concatenate(deep)
    return count, int(samples["lowest"].min()), int(samples["highest"].max())


def _counted(one: tuple[str, int]) -> str:
    """`cat 120`, or `3: 120` if the name ends in a digit."""
    name, count = one
    shown = _name(name)
    return f"{shown}{':' * shown[-1].isdigit()} {count:,}"


def _name(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"{name[:MOST_LETTERS]}..."


def _extremes(parts: Sequence[Images]) -> tuple[int, int]:
    """The lowest and the highest value."""
    found = [(int(batch.min()), int(batch.max())) for images in parts for batch in batches(images)]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else (0, 0)
