"""What is known of a source before its images are decoded: enough to judge whether it can be learned from at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vouch.bundle.multi_label import Task
from vouch.sources.examples import Source
from vouch.sources.split_names import SplitName


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
    """Of one of them as an array: (H, W) or (H, W, C)."""

    @classmethod
    def of(cls, source: Source) -> "Survey":
        """Of one that is read already."""
        shape = next(iter(source.splits.values())).images.shape[1:]
        sizes = {split: len(part) for split, part in source.splits.items()}
        return cls(source.name, source.classes, source.task, sizes, shape)

    @property
    def headers(self) -> None:
        """What headers of files tell; not known yet."""
        return None

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.shape[0], self.shape[1]

    @property
    def one_size(self) -> bool:
        """Whether all images came with the same height and width."""
        return True

    @property
    def colour(self) -> bool:
        """Whether any image came in colour."""
        return len(self.shape) == 3 and self.shape[2] >= 3

    @property
    def images(self) -> int:
        """Of all splits together."""
        return sum(self.sizes.values())


Check = Callable[[Survey], None]
"""Raises where it is of no use to go on."""


def no_check(survey: Survey) -> None:
    """Whatever it is, it is read."""
