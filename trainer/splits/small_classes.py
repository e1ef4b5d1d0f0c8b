"""Leaves out classes with too few different images to be in every split, if requested."""

import numpy as np

from vouch.sources.examples import Examples, Source, images_of_each
from vouch.sources.split_names import SplitName
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.digests import digests_of
from vouch.trainer.splits.together import joined, units_of_each

SHOWN = 5
"""Classes that a message names."""
IN_EVERY_SPLIT = 3
"""Different images that each class needs in data without splits: one for validation, and two for fit and tune, or for
two folds."""


def needed(source: Source, makes_tune: bool) -> dict[SplitName, int]:
    """How many different images each class needs in each of the source's splits, as `make_splits` requires.

    Args:
        makes_tune: whether a tune split is made, for a source that has none.
    """
    if "all" in source.splits:
        return {"all": IN_EVERY_SPLIT}
    of_fit = 1 + (makes_tune and "tune" not in source.splits)
    if "validation" not in source.splits:  # it is made from fit too
        of_fit = IN_EVERY_SPLIT - ("tune" in source.splits)
    return {name: of_fit if name == "fit" else 1 for name in source.splits}


def without_small_classes(source: Source, makes_tune: bool) -> tuple[Source, tuple[str, ...]]:
    """The source without the classes that cannot be in every split, and a warning that names and counts them.

    Args:
        makes_tune: as `needed`.

    Raises:
        TrainError: fewer than two classes are left.
    """
    large = np.ones(len(source.classes), dtype=np.bool_)
    images = np.zeros(len(source.classes), dtype=np.int64)
    for split, least in needed(source, makes_tune).items():
        part = source.splits[split]
        large &= _different(part, len(source.classes)) >= least
        images += images_of_each(part.labels, len(source.classes))
    if large.all():
        return source, ()
    small = np.flatnonzero(~large)
    counts = {source.classes[k]: int(images[k]) for k in small[:SHOWN]}
    named = ", ".join(f"{name} ({count:,} image{'s' * (count != 1)})" for name, count in counts.items())
    left_out = f"{named}, ..." if len(small) > SHOWN else named
    if (kept := int(large.sum())) < 2:
        raise TrainError(
            f"{kept or 'none'} of the {len(large):,} classes of {source.name} has enough different images to be in "
            f"every split, but a classifier needs two; too small are {left_out}"
        )
    chosen = tuple(name for name, enough in zip(source.classes, large, strict=True) if enough)
    lost = int(images[small].sum())
    sentence = (
        f"left out {len(small):,} of {len(large):,} classes with too few images to be in every split ({lost:,} "
        f"image{'s' * (lost != 1)} in all): {left_out}"
    )
    return source.with_classes(chosen), (sentence,)


def _different(part: Examples, classes: int) -> np.ndarray:
    """Number of different images (with groups, of groups) of each class, shape (K,); equal images with different labels
    count for the label of the first.
    """
    digests = digests_of(part.images)
    _, first = np.unique(digests, return_index=True)
    if part.groups is None:
        return images_of_each(part.labels[first], classes)
    return units_of_each(part.labels[first], joined(digests, part.groups)[first], classes)
