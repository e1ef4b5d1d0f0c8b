"""Whether a version is worse than an older one, by their claims. Pure, and fast for a million images.

If both were judged on the same images, McNemar's exact test compares them answer by answer. If the images differ, or
the single answers are not known, the versions differ if the 95 % intervals of their claims do not overlap.
"""

from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import ConfigDict, Field

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.mcnemar import mcnemar
from vouch.bundle.part import Sha256
from vouch.server.lineup.lineup import Value

SIGNIFICANT = 0.01
"""A version is held back if McNemar's two-sided p-value is below this and it has fewer right answers. Stricter than
the 0.05 of `vouch compare`, because each published version is one more test that can fail by chance."""
MAX_IMAGES = 1_000_000
"""The single answers of larger splits are not kept; their intervals are narrow enough."""


class Compared(Value):
    """What two versions are compared by, in addition to their counts."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    classes: Sha256
    """Digest of the task and the names of the classes."""
    split: Annotated[str, Field(max_length=64)] = ""
    """Digest of the validation images with their labels; empty if unknown."""
    right: Annotated[bytes, Field(max_length=MAX_IMAGES // 8)] = b""
    """One bit per image, in order, 1 if the answer is right; empty if unknown."""


class Comparable(Protocol):
    """A version's verdict, or its claim before it is verified."""

    @property
    def claim(self) -> Accuracy: ...
    @property
    def compared(self) -> Compared: ...


@dataclass(frozen=True)
class Worse:
    """Why a version is held back."""

    than: int
    """The older version."""
    claim: Accuracy
    better: Accuracy
    """The older one's claim."""
    p_value: float | None
    """Of McNemar's test; None if the intervals decided."""

    def __str__(self) -> str:
        counts = f"{_counted(self.claim)}, version {self.than} {_counted(self.better)}"
        if self.p_value is None:
            return f"worse than version {self.than}: it has {counts}, and the 95 % intervals do not overlap"
        return (
            f"worse than version {self.than}: it has {counts} of the same images (McNemar's exact test: "
            f"p = {self.p_value:.2g}, below {SIGNIFICANT:g})"
        )


def have_the_same_classes(one: Comparable, other: Comparable) -> bool:
    """Whether they can be compared at all."""
    return one.compared.classes == other.compared.classes


def worse_than(older: int, known: Comparable, version: Comparable) -> Worse | None:
    """Why a version is worse than an older one; None if it is not, or if they cannot be compared.

    Args:
        older: the older version's number.
        known: what is known of the older version.
    """
    claim, better = version.claim, known.claim
    if not have_the_same_classes(version, known) or claim.accuracy >= better.accuracy:
        return None
    if _answered_the_same(version, known):
        p_value = _mcnemar(version.compared.right, known.compared.right)
        return Worse(older, claim, better, p_value) if p_value < SIGNIFICANT else None
    return Worse(older, claim, better, None) if claim.high < better.low else None


def _answered_the_same(one: Comparable, other: Comparable) -> bool:
    first, second = one.compared, other.compared
    return (
        bool(first.right)
        and first.split == second.split != ""
        and one.claim.total == other.claim.total
        and len(first.right) == len(second.right)
    )


def _mcnemar(first: bytes, second: bytes) -> float:
    one, other = int.from_bytes(first), int.from_bytes(second)
    return mcnemar((one & ~other).bit_count(), (other & ~one).bit_count())


def _counted(accuracy: Accuracy) -> str:
    return f"{accuracy.correct:,} of {accuracy.total:,} right ({accuracy.accuracy:.2%})"
