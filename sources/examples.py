"""Examples as two arrays, and a source of them with its splits. Knows no file format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sources.errors import SourceError

SplitName = Literal["fit", "tune", "validation", "all"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Images stacked along the first axis, with their labels.

    Raises:
        SourceError: images and labels differ in number.
    """

    images: np.ndarray
    """uint8, shape (N, H, W) or (N, H, W, C): pixels as they are in the file."""
    labels: np.ndarray
    """int64, shape (N,): positions in the source's classes."""

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise SourceError(
                f"{len(self.images):,} images but {len(self.labels):,} labels; expected one label an image"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray | slice) -> "Examples":
        return Examples(self.images[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled images under one name."""

    name: str
    """What was asked for: `digits`, `mnist` or a path."""
    classes: tuple[str, ...]
    """Names of the classes; labels are positions in it."""
    splits: Mapping[SplitName, Examples]
    """Either `all` alone, where the source does not split, or some of `fit`, `tune` and `validation`."""

    def with_classes(self, wanted: tuple[str, ...]) -> "Source":
        """The same source with the images of these classes only; labels count in the order given.

        Raises:
            SourceError: a class is not in the source, or is named twice.
        """
        unknown = [name for name in wanted if name not in self.classes]
        if unknown:
            known = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
            raise SourceError(f"{self.name} has no class {', '.join(unknown)}; it has {known}")
        if len(set(wanted)) != len(wanted):
            raise SourceError(f"a class is named twice in {','.join(wanted)}")
        new_label = np.full(len(self.classes), -1, dtype=np.int64)
        new_label[[self.classes.index(name) for name in wanted]] = np.arange(len(wanted))
        chosen: dict[SplitName, Examples] = {}
        for split, examples in self.splits.items():
            labels = new_label[examples.labels]
            chosen[split] = Examples(examples.images[labels >= 0], labels[labels >= 0])
        return Source(self.name, wanted, chosen)
