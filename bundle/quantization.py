"""The cost in accuracy of a graph that computes with smaller numbers than in training."""

from typing import Literal

from pydantic import Field, model_validator

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.mcnemar import mcnemar_loss
from vouch.bundle.part import Part

MOST = 1_000_000_000
"""The most images; up to this number, the test of their pairs takes little time."""


class Count(Part):
    """Right answers."""

    correct: int = Field(ge=0)
    total: int = Field(ge=1, le=MOST)

    @model_validator(mode="after")
    def _correct_is_a_part(self) -> "Count":
        if self.correct > self.total:
            raise ValueError(f"{self.correct} correct of {self.total}")
        return self

    @property
    def accuracy(self) -> Accuracy:
        """The counts with their interval."""
        return Accuracy(correct=self.correct, total=self.total)


def points_lost(before: Count, after: Count) -> float:
    """Percentage points between two counts of the same images; exact if they are a decimal number."""
    return 100 * (before.correct - after.correct) / before.total


class Quantization(Part):
    """Facts about a graph that computes with smaller numbers than in training, and the cost on the calibration images.

    The calibration images are the tune split, or fit with out-of-fold answers. The bundle's claim is for this graph.
    """

    kind: Literal["int8"]
    float_tune: Count
    """The count on the calibration images in float32."""
    tune: Count
    """The count on the calibration images as published."""
    max_drop: float = Field(ge=0, le=100)
    """Percentage points of accuracy that it may lose."""
    only_float: int | None = Field(default=None, ge=0)
    """Calibration images that are right as it was trained alone; None in bundles from before they were counted."""
    only_int8: int | None = Field(default=None, ge=0)
    """And as it is published alone."""

    @property
    def points_lost(self) -> float:
        """Percentage points of accuracy that it lost; below 0 where it is better."""
        return points_lost(self.float_tune, self.tune)

    def in_words(self) -> str:
        """What it cost, for people: the end of a sentence that began with the numbers' name."""
        images = f"{self.tune.total:,} calibration images"
        said = f"{self.tune.correct:,} of {images} right, in float32 {self.float_tune.correct:,}"
        if self.only_float is None or self.only_int8 is None:
            return said
        chance = f"McNemar's one-sided test: p = {mcnemar_loss(self.only_float, self.only_int8):.2g}"
        return f"{said}; {self.only_float:,} only in float32, {self.only_int8:,} only in {self.kind} ({chance})"

    @model_validator(mode="after")
    def _lost_no_more(self) -> "Quantization":
        if self.tune.total != self.float_tune.total:
            raise ValueError("the two graphs were not counted on the same calibration images")
        if self.points_lost > self.max_drop:
            raise ValueError(
                f"the {self.kind} graph lost {self.points_lost:.2f} percentage points, allowed were {self.max_drop}"
            )
        return self

    @model_validator(mode="after")
    def _pairs_agree(self) -> "Quantization":
        if (self.only_float is None) != (self.only_int8 is None):
            raise ValueError("expected both only_float and only_int8, or neither")
        if self.only_float is not None and self.only_int8 is not None:
            both = self.float_tune.correct - self.only_float
            if both != self.tune.correct - self.only_int8 or both < 0:
                raise ValueError("the images that only one of the two graphs answers rightly do not fit their counts")
            if both + self.only_float + self.only_int8 > self.tune.total:
                raise ValueError("more images are answered rightly by either graph than were judged")
        return self


def numbers_in_words(facts: Quantization | None, refused: str | None) -> str | None:
    """What a graph computes with, and why, where that was a question; None where nobody asked for anything smaller.

    Args:
        refused: as `Manifest.quantization_refused`.
    """
    if facts:
        return f"{facts.kind}: {facts.in_words()}"
    return f"float32, not int8: {refused}" if refused else None
