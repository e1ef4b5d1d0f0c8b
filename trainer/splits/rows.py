"""Examples of a source, referenced by rows and divided in two without copying."""

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
    """Digests of all images of the source."""
    hashed: Hashed
    """Hashes of all images of the source."""
    rows: np.ndarray | slice
    near: np.ndarray | None = None
    """For all images of the source, the same number for near duplicates; None: not searched."""
    complete: bool = True
    """Whether all pairs could be compared in that search."""

    @classmethod
    def of(cls, source: Examples) -> "Rows":
        """All rows of the source."""
        return cls(source, digests_of(source.images), Hashed.of(source.images), slice(None))

    def with_clusters(self) -> "Rows":
        """The same rows, with numbers for near duplicates."""
        found = clusters(self.hashed)
        return Rows(self.source, self.digests, self.hashed, self.rows, found.numbers, found.complete)

    @property
    def labels(self) -> np.ndarray:
        """As in `Examples`."""
        return self.source.labels[self.rows]

    @property
    def origins(self) -> np.ndarray | None:
        """As in `Examples`."""
        return None if self.source.origins is None else self.source.origins[self.rows]

    @property
    def names(self) -> Names:
        """As in `Examples`."""
        return self.source.names.those(self.rows, len(self.source))

    @property
    def groups(self) -> np.ndarray | None:
        """As in `Examples`."""
        return None if self.source.groups is None else self.source.groups[self.rows]

    @property
    def image_digests(self) -> np.ndarray:
        """One digest per image; equal images have equal digests."""
        return self.digests[self.rows]

    @property
    def units(self) -> np.ndarray:
        """The same number for images that must stay together: equal ones, and those of a group."""
        return joined(self.image_digests, *([] if self.groups is None else [self.groups]))

    @property
    def in_clusters(self) -> int:
        """Number of images that are nearly the same as another one, but not equal to it."""
        if self.near is None:
            return 0
        _, first, equal = np.unique(self.image_digests, return_index=True, return_inverse=True)
        cluster = joined(self.image_digests, self.near[self.rows])
        return int((np.bincount(cluster[first]) > 1)[cluster[first]][equal].sum())

    def those(self, chosen: np.ndarray) -> "Rows":
        """Some of these rows.

        Args:
            chosen: bool, one per row.
        """
        rows = np.arange(len(self.source))[self.rows][chosen]
        return Rows(self.source, self.digests, self.hashed, rows, self.near, self.complete)

    def examples(self) -> Examples:
        """The examples; images in memory are copied, unless these are all rows."""
        return self.source[self.rows]


def divide(part: Rows, share: float, keep: int, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Two parts, the second with about this share of every class, at least one image. Equal images and groups stay
    together.

    Near duplicates are divided if they are most of a class, or if a class would be missing otherwise in a part.

    Args:
        keep: different images (or groups, or clusters) of a class that stay in the first part, even if the share is
            large.
    """
    _, first, image = np.unique(part.image_digests, return_index=True, return_inverse=True)
    labels = part.labels[first]  # equal images with different labels count as the first one
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
    """Clusters that must be divided so that no class is missing needlessly: their numbers in `loose`.

    Args:
        labels: as `draw` or `stratify` take them.
        unit, loose: shape (N,), what must stay together, and what should.
        in_second, keep: the result of the draw, and its argument.
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
