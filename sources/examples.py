"""Examples as two arrays, and a source of them with its splits. Knows no file format."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vouch.bundle.multi_label import Task, task_of
from vouch.cli.nearest import nearest
from vouch.sources.errors import SourceError
from vouch.sources.groups import Groups
from vouch.sources.headers import Headers
from vouch.sources.images import Images, rows_of
from vouch.sources.left_out import ALL_READ, LeftOut
from vouch.sources.names import Names
from vouch.sources.split_names import SplitName


@dataclass(frozen=True, eq=False)
class Examples:
    """Images stacked along the first axis, with their labels.

    Raises:
        SourceError: images and labels differ in number.
    """

    images: Images
    """uint8, shape (N, H, W) or (N, H, W, C): raw pixels."""
    labels: np.ndarray
    """int64, shape (N,): positions in the source's classes. Multi-label: bool, shape (N, K)."""
    origins: np.ndarray | None = None
    """Dtype `origins.ORIGIN`, shape (N,): facts about each image's file; None for images from arrays."""
    names: Names = field(default_factory=Names)
    """Each image's name: its file, or its position in an array."""
    groups: np.ndarray | None = None
    """int64, shape (N,): each image's group, as a position in `Source.groups`. None: without groups."""

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise SourceError(
                f"{len(self.images):,} images but {len(self.labels):,} labels; expected one label per image"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def task(self) -> Task:
        """Whether an image has exactly one of the classes, or any number of them."""
        return task_of(self.labels)

    def __getitem__(self, rows: np.ndarray | slice) -> "Examples":
        origins = None if self.origins is None else self.origins[rows]
        names = self.names.those(rows, len(self))
        groups = None if self.groups is None else self.groups[rows]
        return Examples(rows_of(self.images, rows), self.labels[rows], origins, names, groups)


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled images with a name and splits."""

    name: str
    """The user's `--data`: `digits`, `mnist` or a path."""
    classes: tuple[str, ...]
    """Names of the classes; labels are positions in this list."""
    splits: Mapping[SplitName, Examples]
    """Either only `all`, for a source without splits, or some of `fit`, `tune` and `validation`."""
    warnings: tuple[str, ...] = ()
    """Warnings about the files, a sentence each."""
    notes: tuple[str, ...] = ()
    """How labels were interpreted, a sentence each."""
    headers: Headers | None = None
    """The headers of the image files; None for images from arrays."""
    left_out: LeftOut = ALL_READ
    """Files that were not read."""
    groups: Groups | None = None
    """The groups of images, if the user wants groups."""

    @property
    def task(self) -> Task:
        """Whether an image has exactly one of the classes, or any number of them."""
        return next(iter(self.splits.values())).task

    def with_classes(self, wanted: tuple[str, ...]) -> "Source":
        """The source with only the images of these classes; labels are positions in the given order.

        Multi-label: images keep only these labels. Images with only other labels are left out, as with one label per
        image; images without any label are kept.

        Raises:
            SourceError: a class is not in the source, or is given twice.
        """
        check_chosen(self.name, self.classes, wanted)
        columns = np.array([self.classes.index(name) for name in wanted])
        chosen: dict[SplitName, Examples] = {}
        for split, examples in self.splits.items():
            kept, labels = _chosen(examples.labels, columns, len(self.classes))
            chosen[split] = replace(examples[kept], labels=labels)
        return replace(self, classes=wanted, splits=chosen)

    def as_single_label(self) -> "Source":
        """The source with one label per image.

        Raises:
            SourceError: an image has several labels, or none.
        """
        return replace(self, splits={split: self._one_each(part) for split, part in self.splits.items()})

    def _one_each(self, part: Examples) -> Examples:
        if part.task == "single_label":
            return part
        others = np.flatnonzero(part.labels.sum(axis=1) != 1)
        if len(others):
            row = int(others[0])
            has = ", ".join(self.classes[k] for k in np.flatnonzero(part.labels[row])[:5]) or "none"
            raise SourceError(
                f"{len(others):,} of {len(part):,} images of {self.name} have several labels or none, such as "
                f"{part.names[row]} ({has}); expected exactly one label per image"
            )
        return replace(part, labels=part.labels.argmax(axis=1))


def check_chosen(name: str, classes: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """Checks that these classes can be chosen from the source's.

    Raises:
        SourceError: a class does not exist, or is given twice.
    """
    if unknown := [one for one in wanted if one not in classes]:
        known = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
        meant = ", ".join(filter(None, (nearest(one, classes) for one in unknown)))
        hint = f"; did you mean {meant}?" if meant else ""
        raise SourceError(f"{name} has no class {', '.join(unknown)}; it has {known}{hint}")
    if len(set(wanted)) != len(wanted):
        raise SourceError(f"a class is given twice in {','.join(wanted)}")


def images_of_each(labels: np.ndarray, classes: int) -> np.ndarray:
    """The number of images of each class: int64, shape (K,).

    Args:
        labels: as in `Examples`.
        classes: K.
    """
    if labels.ndim == 2:
        return np.asarray(labels.sum(axis=0))
    return np.bincount(labels, minlength=classes)


def _chosen(labels: np.ndarray, columns: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a label among these columns, or none at all, and their labels in these columns."""
    if labels.ndim == 2:
        rows = np.flatnonzero(labels[:, columns].any(axis=1) | ~labels.any(axis=1))
        return rows, labels[np.ix_(rows, columns)]
    new_label = np.full(classes, -1, dtype=np.int64)
    new_label[columns] = np.arange(len(columns))
    rows = np.flatnonzero(new_label[labels] >= 0)
    return rows, new_label[labels[rows]]
