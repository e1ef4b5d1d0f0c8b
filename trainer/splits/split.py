"""Who may change the weights, who may choose between them, and who must never be seen: fit, tune and validation.

A seeded split keeps each class's share and never parts exact duplicates; splits that come with the data are held
against each other, because a validation image that was trained on vouches for nothing; of images that are only nearly
the same there is a warning. Images are looked at in rows of the source; those in memory are copied once, at the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vouch.bundle.digest import InParts, array_digest, bytes_digest
from vouch.bundle.multi_label import Task
from vouch.sources.equal_files import EqualFiles
from vouch.sources.examples import Examples, Source, images_of_each
from vouch.sources.images import batches, rows_of
from vouch.sources.names import Names
from vouch.sources.split_names import Part
from vouch.sources.summary import Summary
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.balance import uneven_classes
from vouch.trainer.splits.digests import digests_of
from vouch.trainer.splits.near_duplicates import Hashed, near_duplicates
from vouch.trainer.splits.stratify import stratify

SHOWN = 3
"""Images that a message names."""


@dataclass(frozen=True, eq=False)
class Splits:
    """The examples of a training, by what they may do."""

    classes: tuple[str, ...]
    fit: Examples
    """Changes the weights."""
    tune: Examples
    """Picks the epoch."""
    validation: Examples
    """Never seen: evaluated once, at the end."""
    warnings: tuple[str, ...]
    """What is odd about the data, a sentence each."""
    known: int = 0
    """Validation images that are among those of fit or tune too, where the user allowed it."""
    read: Summary | None = None
    """All of them before they were split; None where nobody looked."""

    @property
    def task(self) -> Task:
        """Whether an image has exactly one of the classes, or any number of them."""
        return self.fit.task

    @property
    def by_name(self) -> dict[Part, Examples]:
        """The three by their names."""
        return {"fit": self.fit, "tune": self.tune, "validation": self.validation}

    def digests(self) -> dict[Part, str]:
        """SHA-256 of each split's images and labels."""
        return {name: _digest(part) for name, part in self.by_name.items()}


def make_splits(
    source: Source,
    tune_share: float,
    validation_share: float,
    seed: int,
    allow_duplicates: bool,
    balanced: bool = False,
) -> Splits:
    """Fit, tune and validation from whatever splits the source has.

    Args:
        tune_share: share of the images that are not validation's.
        validation_share: share of all images, or of fit's, where the source has no validation split.
        balanced: whether classes will count the same, so that nobody has to be told how to make them.

    Raises:
        TrainError: nothing to fit; a class with no example in a split; or a validation image
            among those trained on, unless `allow_duplicates`.
    """
    random = np.random.default_rng(seed)
    parts = {name: _Rows.of(part) for name, part in source.splits.items()}
    equal = EqualFiles.of(source)
    if "all" in parts:
        _check_classes(source, equal, "the data", parts["all"].labels, at_least=3)
        parts["fit"], parts["validation"] = _divide(parts.pop("all"), validation_share, 2, random)
    elif "fit" in parts and "validation" not in parts:
        kept = 1 if "tune" in parts else 2
        _check_classes(source, equal, "fit", parts["fit"].labels, at_least=kept + 1)
        parts["fit"], parts["validation"] = _divide(parts["fit"], validation_share, kept, random)
    if missing := [name for name in ("fit", "validation") if name not in parts]:
        raise TrainError(
            f"{source.name} has no {' and no '.join(missing)} split; it has {', '.join(parts) or 'none'}. Call what is "
            "to be trained on train; or give images without splits, which Vouch makes"
        )
    if "tune" not in parts:
        _check_classes(source, equal, "fit", parts["fit"].labels, at_least=2)
        parts["fit"], parts["tune"] = _divide(parts["fit"], tune_share, 1, random)
    for name, part in parts.items():
        _check_classes(source, equal, name, part.labels, at_least=1)
    fit, tune, validation = parts["fit"], parts["tune"], parts["validation"]
    warnings = source.warnings + _check_duplicates(fit, tune, validation, equal, allow_duplicates)
    warnings += _contradictions([fit, tune, validation])
    warnings += _near_duplicates(fit, tune, validation) + uneven_classes(fit.labels, source.classes, balanced)
    known = int(np.isin(validation.image_digests, np.concatenate([fit.image_digests, tune.image_digests])).sum())
    return Splits(source.classes, fit.examples(), tune.examples(), validation.examples(), warnings, known)


def _digest(part: Examples) -> str:
    images = part.images
    return array_digest(InParts(images.shape, images.dtype, batches(images)), part.labels)


def data_digest(split_digests: Mapping[Part, str]) -> str:
    """One digest for all the data of a training."""
    return bytes_digest("".join(f"{name} {digest}\n" for name, digest in sorted(split_digests.items())).encode())


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some examples of a source's split, not copied yet."""

    source: Examples
    digests: np.ndarray
    """Of all the source's images."""
    hashed: Hashed
    """Likewise."""
    rows: np.ndarray | slice

    @classmethod
    def of(cls, source: Examples) -> "_Rows":
        """All of them."""
        return cls(source, digests_of(source.images), Hashed.of(source.images), slice(None))

    @property
    def labels(self) -> np.ndarray:
        return self.source.labels[self.rows]

    @property
    def origins(self) -> np.ndarray | None:
        return None if self.source.origins is None else self.source.origins[self.rows]

    @property
    def names(self) -> Names:
        return self.source.names.those(self.rows, len(self.source))

    @property
    def image_digests(self) -> np.ndarray:
        return self.digests[self.rows]

    def those(self, chosen: np.ndarray) -> "_Rows":
        """Some of these rows.

        Args:
            chosen: bool, one a row.
        """
        return _Rows(self.source, self.digests, self.hashed, np.arange(len(self.source))[self.rows][chosen])

    def examples(self) -> Examples:
        """The examples themselves; of images in memory a copy, unless these are all."""
        return self.source[self.rows]


def _divide(part: _Rows, share: float, keep: int, random: np.random.Generator) -> tuple[_Rows, _Rows]:
    """Two parts, the second with about this share of every class, at least one image; duplicates stay together.

    Args:
        keep: different images of a class that stay in the first part, also where the share is large.
    """
    _, first, group = np.unique(part.image_digests, return_index=True, return_inverse=True)
    labels = part.labels[first]  # of equal images with different labels, the first one's
    in_second = stratify(labels, share, keep, random) if labels.ndim == 2 else _draw(labels, share, keep, random)
    return part.those(~in_second[group]), part.those(in_second[group])


def _draw(labels: np.ndarray, share: float, keep: int, random: np.random.Generator) -> np.ndarray:
    """Which rows the second part gets, bool of shape (N,), where each has one label."""
    in_second = np.zeros(len(labels), dtype=np.bool_)
    by_label = np.argsort(labels, kind="stable")
    ends = np.flatnonzero(np.diff(labels[by_label])) + 1
    for rows in np.split(by_label, ends):
        count = max(0, min(max(1, round(share * len(rows))), len(rows) - keep))
        in_second[random.permutation(rows)[:count]] = True
    return in_second


def _check_classes(source: Source, equal: EqualFiles | None, split: str, labels: np.ndarray, at_least: int) -> None:
    counts = images_of_each(labels, len(source.classes))
    short = np.flatnonzero(counts < at_least)
    if not len(short):
        return
    k, count = int(short[0]), int(counts[short[0]])
    others = f" (and {len(short) - 1:,} more)" if len(short) > 1 else ""
    needs = "at least one" if at_least == 1 else f"at least {at_least}, to stand in every split"
    why = (equal.of_class(k) if equal else "") or _repeats(source, k)
    together = f"; equal images stay together, and {why}" if why else ""
    raise TrainError(
        f"class {source.classes[k]}{others} has {count or 'no'} example{'s' * (count != 1)} in {split}; it needs "
        f"{needs}{together}; {_without(counts >= at_least)}"
    )


def _without(enough: np.ndarray) -> str:
    """What to do about classes that have too few; bool, shape (K,)."""
    if enough.sum() < 2:
        return "without such classes fewer than two would be left"
    return "--leave-out-small-classes trains without such classes"


def _repeats(source: Source, k: int) -> str:
    """In words, where a class has fewer different images than images."""
    images = different = 0
    for part in source.splits.values():
        rows = part.labels[:, k] if part.labels.ndim == 2 else part.labels == k
        images += int(rows.sum())
        different += len(np.unique(digests_of(rows_of(part.images, rows)))) if rows.any() else 0
    return (
        f"its {images:,} images are {different:,} different one{'s' * (different != 1)}" if different < images else ""
    )


def _check_duplicates(
    fit: _Rows, tune: _Rows, validation: _Rows, equal: EqualFiles | None, allowed: bool
) -> tuple[str, ...]:
    parts = {"fit": fit, "tune": tune}
    unseen = validation.image_digests
    warnings: list[str] = []
    for name, trained_on in parts.items():
        rows = np.flatnonzero(np.isin(unseen, trained_on.image_digests))
        if len(rows) == 0:
            continue
        same = "; ".join(_same(validation, row, trained_on) for row in rows[:SHOWN].tolist())
        more = "; ..." if len(rows) > SHOWN else ""
        found = f"{len(rows):,} of {len(unseen):,} validation images are also in {name} ({same}{more})"
        found += _of_other_files(validation, rows, trained_on, equal)
        if not allowed:
            raise TrainError(f"{found}; remove them there, or pass --allow-duplicates to claim on them all the same")
        warnings.append(f"{found}: the claim is partly about images that were trained on")
    digests = {name: part.image_digests for name, part in parts.items()}
    shared = int(np.isin(digests["tune"], digests["fit"]).sum())
    if shared:
        warnings.append(f"{shared:,} of {len(digests['tune']):,} tune images are also in fit")
    for name, images in (("fit", digests["fit"]), ("validation", unseen)):
        if twice := len(images) - len(np.unique(images)):
            says = ", so the claim rests on fewer" if name == "validation" else ""
            warnings.append(f"{twice:,} of {len(images):,} {name} images repeat an earlier one exactly{says}")
    return tuple(warnings)


def _of_other_files(part: _Rows, rows: np.ndarray, other: _Rows, equal: EqualFiles | None) -> str:
    """How many of these rows are other files than those that they equal, and why they became equal; or nothing."""
    if equal is None or part.origins is None or other.origins is None:
        return ""
    origins = part.origins[rows]
    differ = ~np.isin(origins["file"], other.origins["file"])
    why = equal.reason(origins[differ]) if differ.any() else ""
    return f", {int(differ.sum()):,} of them different files that became equal through decoding: {why}" if why else ""


def _same(part: _Rows, row: int, other: _Rows) -> str:
    """`val/cat/1.png is train/cat/7.png`."""
    equal = np.flatnonzero(other.image_digests == part.image_digests[row])
    return f"{part.names[row]} is {other.names[int(equal[0])]}"


def _contradictions(parts: Sequence[_Rows]) -> tuple[str, ...]:
    """A warning where equal images have different labels."""
    digests = np.concatenate([part.image_digests for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    _, first, group = np.unique(digests, return_index=True, return_inverse=True)
    differs = labels != labels[first][group]
    found = int((differs.any(axis=1) if differs.ndim == 2 else differs).sum())
    if not found:
        return ()
    have = "image has another label" if found == 1 else "images have another label"
    return (f"{found:,} {have} than an earlier one that is exactly the same",)


def _near_duplicates(fit: _Rows, tune: _Rows, validation: _Rows) -> tuple[str, ...]:
    """A warning for each two splits that share images that are nearly the same, with their names.

    Never an error: which images are near is a matter of degree, and real ones may well be so alike.
    """
    warnings: list[str] = []
    for (name, part), (other, trained_on) in (
        (("validation", validation), ("fit", fit)),
        (("validation", validation), ("tune", tune)),
        (("tune", tune), ("fit", fit)),
    ):
        found = near_duplicates(part.hashed.only(part.rows), trained_on.hashed.only(trained_on.rows))
        if len(found.pairs):
            names = part.source.names, trained_on.source.names
            warnings.append(found.sentence(name, len(part.labels), other, names))
    return tuple(warnings)
