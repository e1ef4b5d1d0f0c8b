"""How many answers were right, and within which interval the accuracy lies: the same for trainer and server."""

from math import prod, sqrt

from pydantic import BaseModel, ConfigDict, Field, computed_field, model_validator

COUNTING_BATCH = 256
"""Images a run when a claim is counted and recounted, at most."""
COUNTING_BYTES = 8 << 20
"""Of the pixels of such a run: of 256 photos of 224 x 224 a network's layers would take a gigabyte."""

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal distribution


def counting_batch(image_shape: tuple[int, ...]) -> int:
    """Images a run when a claim is counted and recounted: the same on both sides, because no runtime promises the same
    bits across batch sizes.

    Args:
        image_shape: (H, W) or (H, W, C).
    """
    return max(1, min(COUNTING_BATCH, COUNTING_BYTES // max(1, prod(image_shape))))


def wilson_interval(correct: int, total: int, z: float = Z_95, corrected: bool = True) -> tuple[float, float]:
    """The interval of an accuracy, from 0 to 1: of 95 %, or of what the two-sided quantile z of the normal says.

    Wilson's score interval with continuity correction: R. G. Newcombe, Two-sided confidence intervals for the single
    proportion, Statistics in Medicine 17 (1998), method 4. It contains the true accuracy in at least 94.5 of 100 cases,
    whatever that is and however few images there are; without the correction that is 84 of 50 images.

    Args:
        corrected: False gives E. B. Wilson's own (JASA 22, 1927), which bundles of before state.
    """
    if total == 0:
        return 0.0, 1.0
    low = _lower_end(correct, total, z, corrected) if correct else 0.0
    high = 1 - _lower_end(total - correct, total, z, corrected) if correct < total else 1.0
    return low, high


def _lower_end(correct: int, total: int, z: float, corrected: bool) -> float:
    """The accuracy below the counted one, less half an image, that is z deviations away."""
    share = max(0.0, correct - corrected / 2) / total
    spread = z * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return max(0.0, (share + z**2 / (2 * total) - spread) / (1 + z**2 / total))


class Accuracy(BaseModel):
    """How many of how many answers were right, with the 95 % interval that this many answers allow."""

    model_config = ConfigDict(frozen=True)

    correct: int = Field(ge=0)
    total: int = Field(ge=0)

    @model_validator(mode="after")
    def _correct_is_a_part(self) -> "Accuracy":
        if self.correct > self.total:
            raise ValueError(f"{self.correct} correct of {self.total}")
        return self

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties; pydantic documents this form
    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1; 0 where there were none."""
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
