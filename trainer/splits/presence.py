"""Checks that every class can be in every split: that it has enough images, in enough groups."""

import numpy as np

from vouch.sources.equal_files import EqualFiles
from vouch.sources.examples import Source, images_of_each
from vouch.sources.images import rows_of
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.digests import digests_of
from vouch.trainer.splits.rows import Rows
from vouch.trainer.splits.together import units_of_each


def check_classes(source: Source, equal: EqualFiles | None, split: str, part: Rows, at_least: int) -> None:
    """Checks that each class has at least `at_least` images in a part, and with groups as many groups.

    Args:
        split: name of the part in messages.

    Raises:
        TrainError: a class has fewer.
    """
    counts = images_of_each(part.labels, len(source.classes))
    if (counts < at_least).any():
        raise _too_few_images(source, equal, split, counts, at_least)
    if source.groups is None:
        return
    units = units_of_each(part.labels, part.units, len(source.classes))
    if (units < at_least).any():
        raise _too_few_groups(source, split, part, units, at_least)


def _too_few_images(
    source: Source, equal: EqualFiles | None, split: str, counts: np.ndarray, at_least: int
) -> TrainError:
    short = np.flatnonzero(counts < at_least)
    k, count = int(short[0]), int(counts[short[0]])
    why = (equal.of_class(k) if equal else "") or _repeats(source, k)
    together = f"; equal images stay together, and {why}" if why else ""
    if source.groups and not why:
        together = f"; groups are not divided ({source.groups.how})"
    return TrainError(
        f"class {_named(source, short)} has {count or 'no'} example{'s' * (count != 1)} in {split}; it needs "
        f"{_needed(at_least)}{together}; {_without(counts >= at_least, 'images')}"
    )


def _too_few_groups(source: Source, split: str, part: Rows, units: np.ndarray, at_least: int) -> TrainError:
    assert source.groups is not None
    assert part.groups is not None
    short = np.flatnonzero(units < at_least)
    k, labels = int(short[0]), part.labels
    of_class = part.groups[labels[:, k] if labels.ndim == 2 else labels == k]
    names = [source.groups.names[number][:50] for number in np.unique(of_class)]
    shared = "" if len(names) == units[k] else ", some of which have equal images"
    return TrainError(
        f"class {_named(source, short)} has its {len(of_class):,} images in {split} in {len(names):,} "
        f"group{'s' * (len(names) != 1)} ({', '.join(names[:3])}{', ...' * (len(names) > 3)}; by {source.groups.how})"
        f"{shared}; groups are not divided, so it needs {_needed(at_least)}; {_without(units >= at_least, 'groups')}"
    )


def _named(source: Source, short: np.ndarray) -> str:
    others = f" (and {len(short) - 1:,} more)" if len(short) > 1 else ""
    return f"{source.classes[int(short[0])]}{others}"


def _needed(at_least: int) -> str:
    return "at least one" if at_least == 1 else f"at least {at_least}, to be in every split"


def _without(enough: np.ndarray, what: str) -> str:
    """What to do about classes with too few images or groups; `enough` is bool, shape (K,)."""
    if enough.sum() < 2:
        return f"fewer than two classes have enough {what}: add {what}"
    return "--leave-out-small-classes trains without such classes"


def _repeats(source: Source, k: int) -> str:
    """How many different images a class has, in words, if some are equal."""
    images = different = 0
    for part in source.splits.values():
        rows = part.labels[:, k] if part.labels.ndim == 2 else part.labels == k
        images += int(rows.sum())
        different += len(np.unique(digests_of(rows_of(part.images, rows)))) if rows.any() else 0
    return (
        f"only {different:,} of its {images:,} images {'is' if different == 1 else 'are'} different"
        if different < images
        else ""
    )
