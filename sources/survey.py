"""The facts about a source before its images are decoded: enough to decide how to decode them, and whether to go on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vouch.bundle.multi_label import Task
from vouch.sources.common_settings import common_settings
from vouch.sources.examples import Source
from vouch.sources.headers import Headers
from vouch.sources.split_names import SplitName
from vouch.sources.wanted import Wanted


@dataclass(frozen=True)
class Survey:
    """Labelled images by their numbers."""

    name: str
    """The user's `--data`."""
    classes: tuple[str, ...]
    task: Task
    sizes: Mapping[SplitName, int]
    """The number of images of each split."""
    shape: tuple[int, ...]
    """Shape of an image as an array: (H, W) or (H, W, C); for files before a decision, of the median size."""
    headers: Headers | None = None
    """The headers of the files, at first of only a few; None for images from arrays."""

    @classmethod
    def of(cls, source: Source) -> "Survey":
        """The survey of a source that was already read."""
        shape = next(iter(source.splits.values())).images.shape[1:]
        sizes = {split: len(part) for split, part in source.splits.items()}
        return cls(source.name, source.classes, source.task, sizes, shape, source.headers)

    @property
    def images(self) -> int:
        """The number of images of all splits together."""
        return sum(self.sizes.values())

    @property
    def files(self) -> bool:
        """Whether the images come from files, which can be resized; arrays cannot."""
        return self.headers is not None

    @property
    def sides(self) -> tuple[int, int]:
        """Original height and width of the images; for files the medians."""
        return self.headers.median if self.headers else (self.shape[0], self.shape[1])

    @property
    def one_size(self) -> bool:
        """Whether all images originally have the same height and width."""
        return self.headers is None or self.headers.one_size

    @property
    def colour(self) -> bool:
        """Whether any image is originally in colour."""
        return self.headers.colour if self.headers else len(self.shape) == 3 and self.shape[2] >= 3

    def as_wanted(self, wanted: Wanted) -> "Survey":
        """The survey with the shape that files are decoded to with these settings; arrays keep theirs.

        Raises:
            SourceError: the files differ in size and no size is set.
        """
        if self.headers is None:
            return self
        return replace(self, shape=common_settings(self.name, self.headers, wanted).shape)


Decide = Callable[[Survey], Wanted]
"""Decides how files are decoded, or raises if it is useless to go on.

Files: called with a few headers and no decoded pixel, and again if later files differ (the first of another size, the
first in colour, and at the end with the medians of all). So it must depend only on the survey, and print nothing. Its
result is complete and replaces all other settings. Arrays: called once, after they are read; they are not changed.
"""
