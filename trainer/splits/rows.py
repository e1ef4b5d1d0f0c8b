"""Examples of a source by their rows, and how they are divided in two: nothing is copied before the end."""

from dataclasses import dataclass

import numpy as np

from vouch.sources.examples import Examples
from vouch.sources.names import Names
from vouch.trainer.splits.clusters import clusters
from vouch.trainer.splits.digests import digests_of
from vouch.trainer.splits.draw import draw
from vouch.trainer.splits.near_duplicates import Hashed
from vouch.trainer.splits.stratify import stratify
from vouch.trainer.splits.together import joined, parted, units_of_each, with_clusters


@dataclass(frozen=True, eq=False)
class Rows:
    """Some examples of a source's split, not copied yet."""

    source: Examples
    digests: np.ndarray
    """Of all the source's images."""
    hashed: Hashed
    """Likewise."""
    rows: np.ndarray | slice
    near: np.ndarray | None = None
    """Of all the source's images, the same number for those that are nearly the same; None: not looked for."""
    complete: bool = True
    """Whether all pairs could be looked at, to find these."""

    @classmethod
    def of(cls, source: Examples) -> "Rows":
        """All of them."""
        return cls(source, digests_of(source.images), Hashed.of(source.images), slice(None))

    def with_clusters(self) -> "Rows":
        """With numbers for those that are nearly the same."""
        found = clusters(self.hashed)
        return Rows(self.source, self.digests, self.hashed, self.rows, found.numbers, found.complete)

    @property
    def labels(self) -> np.ndarray:
        """As in `Examples`."""
        return self.source.labels[self.rows]

    @property
    def origins(self) -> np.ndarray | None:
        """Likewise."""
        return None if self.source.origins is None else self.source.origins[self.rows]

    @property
    def names(self) -> Names:
        """Likewise."""
        return self.source.names.those(self.rows, len(self.source))

    @property
    def groups(self) -> np.ndarray | None:
        """Likewise."""
        return None if self.source.groups is None else self.source.groups[self.rows]

    @property
    def image_digests(self) -> np.ndarray:
        """One an image; equal images have equal ones."""
        return self.digests[self.rows]

    @property
    def units(self) -> np.ndarray:
        """The same number for images that must not be parted: equal ones, and those of a group."""
        return joined(self.image_digests, *([] if self.groups is None else [self.groups]))

    @property
    def in_clusters(self) -> int:
        """Images that are nearly the same as another one, and not equal to it."""
        if self.near is None:
            return 0
        _, first, equal = np.unique(self.image_digests, return_index=True, return_inverse=True)
        cluster = joined(self.image_digests, self.near[self.rows])
        return int((np.bincount(cluster[first]) > 1)[cluster[first]][equal].sum())

    def those(self, chosen: np.ndarray) -> "Rows":
        """Some of these rows.

        Args:
            chosen: bool, one a row.
        """
        rows = np.arange(len(self.source))[self.rows][chosen]
        return Rows(self.source, self.digests, self.hashed, rows, self.near, self.complete)

    def examples(self) -> Examples:
        """The examples themselves; of images in memory a copy, unless these are all."""
        return self.source[self.rows]


def divide(part: Rows, share: float, keep: int, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Two parts, the second with about this share of every class, at least one image. What belongs together stays so.

    Images that are only nearly the same are parted where they are most of a class, or where a class would be missing
    otherwise in one of the parts.

    Args:
        keep: different images of a class that stay in the first part, also where the share is large; or groups, or
            clusters.
    """
    _, first, image = np.unique(part.image_digests, return_index=True, return_inverse=True)
    labels = part.labels[first]  # of equal images with different labels, the first one's
    unit = part.units[first]
    loose = unit if part.near is None else with_clusters(labels, unit, part.near[part.rows][first])
    drawn = stratify if labels.ndim == 2 else draw
    while True:
        in_second = drawn(labels, loose, share, keep, random)
        if not len(numbers := _to_be_parted(labels, unit, loose, in_second, keep)):
            break
        loose = parted(unit, loose, numbers)
    return part.those(~in_second[image]), part.those(in_second[image])


def _to_be_parted(
    labels: np.ndarray, unit: np.ndarray, loose: np.ndarray, in_second: np.ndarray, keep: int
) -> np.ndarray:
    """Clusters that have to be parted, so that no class is missing that need not be: their numbers in `loose`.

    Args:
        labels: as `draw` or `stratify` take them.
        unit, loose: shape (N,), what must not be parted, and what should not.
        in_second, keep: what was drawn, and how.
    """
    several = labels.ndim == 2
    classes = labels.shape[1] if several else int(labels.max(initial=-1)) + 1
    enough = units_of_each(labels, unit, classes) > keep
    missing = units_of_each(labels[in_second], unit[in_second], classes) < 1
    missing |= units_of_each(labels[~in_second], unit[~in_second], classes) < keep
    short = enough & missing
    rows = labels[:, short].any(axis=1) if several else short[labels]
    numbers, units = np.unique(np.unique(np.stack([loose, unit]), axis=1)[0], return_counts=True)
    return np.intersect1d(numbers[units > 1], loose[rows])
