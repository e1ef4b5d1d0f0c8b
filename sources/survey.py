"""What is known of a source before its images are decoded: enough to decide what they become, and whether to go on."""

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
    """What was asked for."""
    classes: tuple[str, ...]
    task: Task
    sizes: Mapping[SplitName, int]
    """Images of each split."""
    shape: tuple[int, ...]
    """Of one of them as an array: (H, W) or (H, W, C); of files that nothing is decided about, of a middle size."""
    headers: Headers | None = None
    """What those of the files tell, of a few of them at first; None: the images come from arrays."""

    @classmethod
    def of(cls, source: Source) -> "Survey":
        """Of one that is read already."""
        shape = next(iter(source.splits.values())).images.shape[1:]
        sizes = {split: len(part) for split, part in source.splits.items()}
        return cls(source.name, source.classes, source.task, sizes, shape, source.headers)

    @property
    def images(self) -> int:
        """Of all splits together."""
        return sum(self.sizes.values())

    @property
    def files(self) -> bool:
        """Whether the images come from files, which can be resized; arrays cannot."""
        return self.headers is not None

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images as they came: of files the medians."""
        return self.headers.median if self.headers else (self.shape[0], self.shape[1])

    @property
    def one_size(self) -> bool:
        """Whether all images came with the same height and width."""
        return self.headers is None or self.headers.one_size

    @property
    def colour(self) -> bool:
        """Whether any image came in colour."""
        return self.headers.colour if self.headers else len(self.shape) == 3 and self.shape[2] >= 3

    def as_wanted(self, wanted: Wanted) -> "Survey":
        """With the shape that files are decoded to under this; arrays keep theirs.

        Raises:
            SourceError: the files differ in size and none is given.
        """
        if self.headers is None:
            return self
        return replace(self, shape=common_settings(self.name, self.headers, wanted).shape)


Decide = Callable[[Survey], Wanted]
"""What files are to become, or an error where it is of no use to go on.

Files: asked with a few headers read and no pixel decoded, and again where other files turn out otherwise (the first of
another size, the first in colour; the medians of all at the end), so it must depend on nothing but the survey, and say
nothing to people. The answer is complete: what is asked for beside it has no effect. Arrays: asked once, when they are
read; they stay as they are.
"""
