"""Overlaps between splits: equal images, images of one group, and near duplicates."""

from collections.abc import Sequence

import numpy as np

from vouch.sources.equal_files import EqualFiles
from vouch.sources.groups import Groups
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.near_duplicates import near_duplicates
from vouch.trainer.splits.rows import Rows

SHOWN = 3
"""Images that a message names."""
ALLOW = "--allow-duplicates"


def check_duplicates(
    fit: Rows, tune: Rows, validation: Rows, equal: EqualFiles | None, allowed: bool
) -> tuple[str, ...]:
    """A warning for each two splits that share images, and for images that occur twice in one.

    Raises:
        TrainError: validation has images of fit or tune, and that is not allowed.
    """
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
            raise TrainError(f"{found}; remove them there, or pass {ALLOW} to validate on them anyway")
        warnings.append(f"{found}: the claim is partly about images that were trained on")
    digests = {name: part.image_digests for name, part in parts.items()}
    shared = int(np.isin(digests["tune"], digests["fit"]).sum())
    if shared:
        warnings.append(f"{shared:,} of {len(digests['tune']):,} tune images are also in fit")
    for name, images in (("fit", digests["fit"]), ("validation", unseen)):
        if twice := len(images) - len(np.unique(images)):
            says = ", so the claim is based on fewer" if name == "validation" else ""
            warnings.append(f"{twice:,} of {len(images):,} {name} images repeat an earlier one exactly{says}")
    return tuple(warnings)


def _of_other_files(part: Rows, rows: np.ndarray, other: Rows, equal: EqualFiles | None) -> str:
    """How many of these rows come from different files, and why the decoded images are equal; or nothing."""
    if equal is None or part.origins is None or other.origins is None:
        return ""
    origins = part.origins[rows]
    differ = ~np.isin(origins["file"], other.origins["file"])
    why = equal.reason(origins[differ]) if differ.any() else ""
    return f", {int(differ.sum()):,} of them different files that are equal only after decoding: {why}" if why else ""


def _same(part: Rows, row: int, other: Rows) -> str:
    """`val/cat/1.png is train/cat/7.png`."""
    equal = np.flatnonzero(other.image_digests == part.image_digests[row])
    return f"{part.names[row]} is {other.names[int(equal[0])]}"


def contradictions(parts: Sequence[Rows]) -> tuple[str, ...]:
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


def check_near_duplicates(fit: Rows, tune: Rows, validation: Rows) -> tuple[str, ...]:
    """A warning for each two splits that share near duplicates, with their names.

    Never an error: similarity is a matter of degree, and different images may be this similar too.
    """
    warnings: list[str] = []
    for (name, part), (other, trained_on) in _pairs(fit, tune, validation):
        found = near_duplicates(part.hashed.only(part.rows), trained_on.hashed.only(trained_on.rows))
        if len(found.pairs):
            names = part.source.names, trained_on.source.names
            warnings.append(found.sentence(name, len(part.labels), other, names))
    return tuple(warnings)


def check_groups(fit: Rows, tune: Rows, validation: Rows, groups: Groups | None, allowed: bool) -> tuple[str, ...]:
    """A warning for each two splits that share a group.

    Raises:
        TrainError: validation has images of a group of fit or of tune, and that is not allowed.
    """
    warnings: list[str] = []
    for (name, part), (other, trained_on) in _pairs(fit, tune, validation):
        if groups is None or part.groups is None or trained_on.groups is None:
            continue
        shared = np.flatnonzero(np.isin(part.groups, trained_on.groups))
        if len(shared) == 0:
            continue
        _, first = np.unique(part.groups[shared], return_index=True)
        rows = shared[np.sort(first)]
        more = "; ..." if len(rows) > SHOWN else ""
        said = "; ".join(_of_one_group(part, row, trained_on, groups) for row in rows[:SHOWN].tolist())
        found = (
            f"{len(shared):,} of {len(part.groups):,} {name} images {'is' if len(shared) == 1 else 'are'} of a group "
            f"that is also in {other}, by {groups.how} ({said}{more})"
        )
        if name == "validation" and not allowed:
            raise TrainError(
                f"{found}; keep each group in one split, or provide images without splits and let Vouch split them; "
                f"or pass {ALLOW} to validate on them anyway"
            )
        partly = ": the claim is partly about groups that were trained on" if name == "validation" else ""
        warnings.append(found + partly)
    return tuple(warnings)


def known_images(fit: Rows, tune: Rows, validation: Rows) -> int:
    """Number of validation images that are also in fit or tune, or belong to a group of theirs."""
    known = np.isin(validation.image_digests, np.concatenate([fit.image_digests, tune.image_digests]))
    for trained_on in (fit.groups, tune.groups):
        if validation.groups is not None and trained_on is not None:
            known |= np.isin(validation.groups, trained_on)
    return int(known.sum())


def _of_one_group(part: Rows, row: int, other: Rows, groups: Groups) -> str:
    """`p7: val/cat/1.png and train/cat/7.png`."""
    assert part.groups is not None
    assert other.groups is not None
    twin = int(np.flatnonzero(other.groups == part.groups[row])[0])
    return f"{groups.names[int(part.groups[row])][:50]}: {part.names[row]} and {other.names[twin]}"


def _pairs(fit: Rows, tune: Rows, validation: Rows) -> tuple[tuple[tuple[str, Rows], tuple[str, Rows]], ...]:
    """Each two splits with their names; the first should have no image of the second."""
    return (
        (("validation", validation), ("fit", fit)),
        (("validation", validation), ("tune", tune)),
        (("tune", tune), ("fit", fit)),
    )
