"""Who may change the weights, who may choose between them, and who must never be seen: fit, tune and validation.

A seeded split keeps each class's share and never parts exact duplicates; splits that come with the data are held
against each other, because a validation image that was trained on vouches for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bundle.digest import array_digest, bytes_digest, image_digests
from sources.examples import Examples, Source
from trainer.errors import TrainError

Part = Literal["fit", "tune", "validation"]


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

    @property
    def by_name(self) -> dict[Part, Examples]:
        """The three by their names."""
        return {"fit": self.fit, "tune": self.tune, "validation": self.validation}

    def digests(self) -> dict[Part, str]:
        """SHA-256 of each split's images and labels."""
        return {name: array_digest(part.images, part.labels) for name, part in self.by_name.items()}


def make_splits(
    source: Source, tune_share: float, validation_share: float, seed: int, allow_duplicates: bool
) -> Splits:
    """Fit, tune and validation from whatever splits the source has.

    Args:
        tune_share: share of the images that are not validation's.
        validation_share: share of all images, where the source does not split.

    Raises:
        TrainError: no validation split or nothing to fit; a class with no example in a split; or a validation image
            among those trained on, unless `allow_duplicates`.
    """
    random = np.random.default_rng(seed)
    parts = dict(source.splits)
    if "all" in parts:
        _check_classes(source, "the data", parts["all"], at_least=3)
        parts["fit"], parts["validation"] = _divide(parts.pop("all"), validation_share, 2, random)
    if missing := [name for name in ("fit", "validation") if name not in parts]:
        raise TrainError(f"{source.name} has no {' and no '.join(missing)} split; it has {', '.join(parts) or 'none'}")
    if "tune" not in parts:
        _check_classes(source, "fit", parts["fit"], at_least=2)
        parts["fit"], parts["tune"] = _divide(parts["fit"], tune_share, 1, random)
    for name, part in parts.items():
        _check_classes(source, name, part, at_least=1)
    fit, tune, validation = parts["fit"], parts["tune"], parts["validation"]
    warnings = _check_duplicates(fit, tune, validation, allow_duplicates)
    return Splits(source.classes, fit, tune, validation, warnings)


def data_digest(split_digests: Mapping[Part, str]) -> str:
    """One digest for all the data of a training."""
    return bytes_digest("".join(f"{name} {digest}\n" for name, digest in sorted(split_digests.items())).encode())


def _divide(examples: Examples, share: float, keep: int, random: np.random.Generator) -> tuple[Examples, Examples]:
    """Two parts, the second with about this share of every class, at least one image; duplicates stay together.

    Args:
        keep: different images of a class that stay in the first part, also where the share is large.
    """
    _, first, group = np.unique(image_digests(examples.images), return_index=True, return_inverse=True)
    label_of_group = examples.labels[first]  # of equal images with different labels, the first one's
    in_second = np.zeros(len(first), dtype=bool)
    for label in np.unique(label_of_group):
        groups = random.permutation(np.flatnonzero(label_of_group == label))
        count = max(0, min(max(1, round(share * len(groups))), len(groups) - keep))
        in_second[groups[:count]] = True
    second = in_second[group]
    return examples[np.flatnonzero(~second)], examples[np.flatnonzero(second)]


def _check_classes(source: Source, split: str, part: Examples, at_least: int) -> None:
    counts = np.bincount(part.labels, minlength=len(source.classes))
    short = [(name, count) for name, count in zip(source.classes, counts.tolist(), strict=True) if count < at_least]
    if short:
        name, count = short[0]
        others = f" (and {len(short) - 1} more classes)" if len(short) > 1 else ""
        needs = "at least one" if at_least == 1 else f"at least {at_least}, to stand in every split"
        raise TrainError(
            f"class {name}{others} has {count or 'no'} example{'s' * (count != 1)} in {split}; it needs {needs}"
        )


def _check_duplicates(fit: Examples, tune: Examples, validation: Examples, allowed: bool) -> tuple[str, ...]:
    digests = {"fit": image_digests(fit.images), "tune": image_digests(tune.images)}
    unseen = image_digests(validation.images)
    warnings: list[str] = []
    for name, trained_on in digests.items():
        rows = np.flatnonzero(np.isin(unseen, trained_on))
        if len(rows) == 0:
            continue
        found = f"{len(rows):,} of {len(validation):,} validation images are also in {name} ({_some(rows)})"
        if not allowed:
            raise TrainError(f"{found}; remove them there, or pass --allow-duplicates to claim on them all the same")
        warnings.append(f"{found}: the claim is partly about images that were trained on")
    shared = int(np.isin(digests["tune"], digests["fit"]).sum())
    if shared:
        warnings.append(f"{shared:,} of {len(tune):,} tune images are also in fit")
    twice = len(digests["fit"]) - len(np.unique(digests["fit"]))
    if twice:
        warnings.append(f"{twice:,} of {len(fit):,} fit images repeat an earlier one exactly")
    return tuple(warnings)


def _some(rows: Sequence[int] | np.ndarray) -> str:
    listed = ", ".join(str(row) for row in rows[:3])
    return f"number{'s' * (len(rows) > 1)} {listed}{', ...' if len(rows) > 3 else ''}"
