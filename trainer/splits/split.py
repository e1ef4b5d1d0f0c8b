"""The splits: fit changes the weights, tune calibrates, validation is never seen in training.

A seeded split keeps each class's share. It never divides exact duplicates or groups, and near duplicates only if a
class would be missing otherwise. Splits that come with the data are checked for overlaps, because a validation image
that was trained on proves nothing. Images are referenced by rows of the source, and copied once, at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vouch.bundle.array_digest import InParts, array_digest
from vouch.bundle.digest import bytes_digest
from vouch.bundle.multi_label import Task
from vouch.sources.equal_files import EqualFiles
from vouch.sources.examples import Examples, Source
from vouch.sources.images import batches
from vouch.sources.split_names import Part, SplitName
from vouch.sources.summary import Summary
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.overlaps import (
    check_duplicates,
    check_groups,
    check_near_duplicates,
    contradictions,
    known_images,
)
from vouch.trainer.splits.presence import check_classes
from vouch.trainer.splits.rows import Rows, divide

FAR = 2.0
"""If groups make a split larger or smaller than requested by this factor, there is a warning."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The examples of a training, by their purpose."""

    classes: tuple[str, ...]
    fit: Examples
    """Changes the weights."""
    tune: Examples
    """Chooses temperature, thresholds and label sets; empty if folds of fit are used for this."""
    validation: Examples
    """Not used in training: evaluated once, at the end."""
    warnings: tuple[str, ...]
    """Problems of the data, one sentence each."""
    known: int = 0
    """Validation images that are also in fit or tune, or of a group of theirs, if the user allowed it."""
    read: Summary | None = None
    """All examples before the split; None if not summarised."""
    notes: tuple[str, ...] = ()
    """How they were split, one sentence each."""
    judged_by: str = ""
    """Why there is a tune split, or none, as the end of a sentence."""

    @property
    def task(self) -> Task:
        """Whether an image has exactly one of the classes, or any number of them."""
        return self.fit.task

    @property
    def by_name(self) -> dict[Part, Examples]:
        """The splits that have examples, by name."""
        parts: dict[Part, Examples] = {"fit": self.fit, "tune": self.tune, "validation": self.validation}
        return {name: part for name, part in parts.items() if len(part)}

    def digests(self) -> dict[Part, str]:
        """SHA-256 of each split's images and labels."""
        return {name: _digest(part) for name, part in self.by_name.items()}


def make_splits(
    source: Source,
    tune_share: float | None,
    validation_share: float,
    seed: int,
    allow_duplicates: bool,
    keep_alike: bool = True,
) -> Splits:
    """Fit, tune and validation from the splits that the source has.

    Args:
        tune_share: share of the images outside validation; None: no tune split, unless the source has one.
        validation_share: share of all images, or of fit, if the source has no validation split.
        allow_duplicates: whether validation may share images or groups with fit and tune.
        keep_alike: whether near duplicates stay on one side of a split that is made here.

    Raises:
        TrainError: nothing to fit; a class without an example in a split, or in too few groups; or a validation image
            that is trained on, or of a group that is, unless that is allowed.
    """
    equal = EqualFiles.of(source)
    making = _Making(source, equal, np.random.default_rng(seed), keep_alike)
    making.validation(validation_share)
    if tune_share is not None:
        making.tune(tune_share)
    for name, part in making.parts.items():
        check_classes(source, equal, name, part, at_least=1)
    fit, validation = making.parts["fit"], making.parts["validation"]
    tune = making.parts.get("tune", fit.those(np.zeros(len(fit.labels), dtype=np.bool_)))
    warnings = source.warnings + check_duplicates(fit, tune, validation, equal, allow_duplicates)
    warnings += check_groups(fit, tune, validation, source.groups, allow_duplicates)
    warnings += (*making.warnings, *contradictions([fit, tune, validation]))
    warnings += check_near_duplicates(fit, tune, validation)
    three = fit.examples(), tune.examples(), validation.examples()
    return Splits(source.classes, *three, warnings, known_images(fit, tune, validation), notes=tuple(making.notes))


class _Making:
    """The splits of the source, and those that are made from them."""

    def __init__(self, source: Source, equal: EqualFiles | None, random: np.random.Generator, keep_alike: bool) -> None:
        self._source, self._equal, self._random, self._keep_alike = source, equal, random, keep_alike
        self.parts = {name: Rows.of(part) for name, part in source.splits.items()}
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def validation(self, share: float) -> None:
        """Makes a validation split if there is none. Raises TrainError: the source's splits do not allow it."""
        if "all" in self.parts:
            self._split_off("validation", "all", share, 2)
        elif "fit" in self.parts and "validation" not in self.parts:
            self._split_off("validation", "fit", share, 1 if "tune" in self.parts else 2)
        if missing := [name for name in ("fit", "validation") if name not in self.parts]:
            raise TrainError(
                f"{self._source.name} has no {' and no '.join(missing)} split; it has "
                f"{', '.join(self.parts) or 'none'}. Name the split to train on train; or provide images without "
                "splits and let Vouch split them"
            )

    def tune(self, share: float) -> None:
        """Makes a tune split if there is none."""
        if "tune" not in self.parts:
            self._split_off("tune", "fit", share, 1)

    def _split_off(self, made: SplitName, of: SplitName, share: float, keep: int) -> None:
        """Makes a split from a part of another one; the rest becomes fit.

        Args:
            share, keep: as `divide`.
        """
        whole = self.parts.pop(of)
        check_classes(self._source, self._equal, "the data" if of == "all" else of, whole, keep + 1)
        if self._keep_alike and whole.near is None:
            whole = whole.with_clusters()
            self.notes += _of_clusters(whole)
        self.parts["fit"], self.parts[made] = divide(whole, share, keep, self._random)
        got, wanted = len(self.parts[made].labels), share * len(whole.labels)
        most = FAR * max(wanted, len(self._source.classes))  # at least one image of each class, whatever the share
        why = "groups are not divided" if self._source.groups else "near duplicates stay on one side (--no-keep-alike)"
        if (self._source.groups or whole.in_clusters) and not wanted / FAR <= got <= most:
            self.warnings.append(
                f"{made} has {got:,} of {len(whole.labels):,} images, {got / len(whole.labels):.0%} instead of "
                f"{share:.0%}, because {why}"
            )


def _of_clusters(whole: Rows) -> list[str]:
    """A sentence, if there are near duplicates."""
    if not (count := whole.in_clusters):
        return []
    least = "" if whole.complete else "at least "
    return [
        f"near duplicates: {least}{count:,} of {len(whole.labels):,} images are nearly the same as another one; they "
        "stay on one side of a split, unless a warning names them"
    ]


def _digest(part: Examples) -> str:
    images = part.images
    return array_digest(InParts(images.shape, images.dtype, batches(images)), part.labels)


def data_digest(split_digests: Mapping[Part, str]) -> str:
    """One digest for all the data of a training."""
    return bytes_digest("".join(f"{name} {digest}\n" for name, digest in sorted(split_digests.items())).encode())
