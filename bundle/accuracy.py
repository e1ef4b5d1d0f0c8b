"""The number of right answers, and the interval of the accuracy: the same for trainer and server."""

from math import prod, sqrt

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

COUNTING_BATCH = 256
"""The most images per run when a claim is counted and recounted."""
COUNTING_BYTES = 8 << 20
"""Limit for the pixels of such a run: for 256 photos of 224 x 224, a network's layers would take a gigabyte."""

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal distribution


def counting_batch(image_shape: tuple[int, ...]) -> int:
    """The number of images per run when a claim is counted and recounted: equal on both sides, because no runtime
    guarantees equal bits for different batch sizes.

    Args:
        image_shape: (H, W) or (H, W, C).
    """
    return max(1, min(COUNTING_BATCH, COUNTING_BYTES // max(1, prod(image_shape))))


def wilson_interval(correct: int, total: int, z: float = Z_95, corrected: bool = True) -> tuple[float, float]:
    """The interval of an accuracy, from 0 to 1: of 95 %, or for another two-sided normal quantile z.

    Wilson's score interval with continuity correction: R. G. Newcombe, Two-sided confidence intervals for the single
    proportion, Statistics in Medicine 17 (1998), method 4. It contains the true accuracy in at least 94.5 of 100 cases
    for any accuracy and any number of images; without the correction, in 84 of 100 for 50 images.

    Args:
        corrected: False gives E. B. Wilson's own (JASA 22, 1927), which older bundles contain.
    """
    if total == 0:
        return 0.0, 1.0
    low = _lower_end(correct, total, z, corrected) if correct else 0.0
    high = 1 - _lower_end(total - correct, total, z, corrected) if correct < total else 1.0
    return low, high


def _lower_end(correct: int, total: int, z: float, corrected: bool) -> float:
    """The accuracy that is z deviations below the counted one minus half an image."""
    share = max(0.0, correct - corrected / 2) / total
    spread = z * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return max(0.0, (share + z**2 / (2 * total) - spread) / (1 + z**2 / total))


class Accuracy(BaseModel):
    """The numbers of right answers and of all answers, with the accuracy's 95 % interval."""

    model_config = ConfigDict(frozen=True)

    correct: int = Field(ge=0)
    total: int = Field(ge=0)

    @model_validator(mode="after")
    def _correct_is_a_part(self) -> "Accuracy":
        if self.correct > self.total:
            raise ValueError(f"{self.correct} correct of {self.total}")
        return self

    @computed_field  # type: ignore[prop-decorator]  # mypy does not support decorated properties; pydantic documents this form
    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1; 0 without answers."""
        return self.correct / self.total if self.total else 0.0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return wilson_interval(self.correct, self.total)[0]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return wilson_interval(self.correct, self.total)[1]

    def __str__(self) -> str:
        interval = f"95 % interval {self.low:.2%} to {self.high:.2%}"
        return f"{self.correct:,} of {self.total:,} = {self.accuracy:.2%} ({interval})"
