"""What it cost that a graph computes with smaller numbers than it was trained with."""

from typing import Literal

from pydantic import Field, model_validator

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.part import Part


class Count(Part):
    """Right answers."""

    correct: int = Field(ge=0)
    total: int = Field(ge=1)

    @model_validator(mode="after")
    def _correct_is_a_part(self) -> "Count":
        if self.correct > self.total:
            raise ValueError(f"{self.correct} correct of {self.total}")
        return self

    @property
    def accuracy(self) -> Accuracy:
        """The same with its interval."""
        return Accuracy(correct=self.correct, total=self.total)


def points_lost(before: Count, after: Count) -> float:
    """Percentage points between two counts of the same images; exact where they are a decimal number."""
    return 100 * (before.correct - after.correct) / before.total


class Quantization(Part):
    """The graph computes with smaller numbers than it was trained with; what that cost, on tune.

    The bundle's claim is this graph's own.
    """

    kind: Literal["int8"]
    float_tune: Count
    """The graph as it was trained."""
    tune: Count
    """The graph as it is published."""
    max_drop: float = Field(ge=0, le=100)
    """Percentage points of accuracy that it was allowed to lose."""

    @property
    def points_lost(self) -> float:
        """Percentage points of accuracy that it lost; below 0 where it is better."""
        return points_lost(self.float_tune, self.tune)

    @model_validator(mode="after")
    def _lost_no_more(self) -> "Quantization":
        if self.tune.total != self.float_tune.total:
            raise ValueError("the two graphs were not counted on the same tune images")
        if self.points_lost > self.max_drop:
            raise ValueError(
                f"the {self.kind} graph lost {self.points_lost:.2f} percentage points, allowed were {self.max_drop}"
            )
        return self
