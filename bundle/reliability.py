"""The reliability of a model's probabilities in its manifest: calibration error, and promised coverages."""

from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import FailFast, Field, model_validator

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.confusion import MAX_CLASSES
from vouch.bundle.label_sets import chance_of
from vouch.bundle.mcnemar import SIGNIFICANT, holm
from vouch.bundle.part import Part

MAX_TEMPERATURE = 1_000.0
"""Limit for temperatures: fitted ones are at most 20; undoing one of 1e308 would give infinite scores."""
MAX_COVERAGES = 100

Method = Literal["split", "cross"]
"""Whose answers chose temperature and thresholds: the published model's to the tune split, or those of the folds'
models, each to images that it was not trained on."""


Shares = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], FailFast(), Field(max_length=MAX_CLASSES)]
Counts = Annotated[tuple[Annotated[int, Field(ge=0)], ...], FailFast(), Field(max_length=MAX_CLASSES)]


class ByClass(Part):
    """For label sets conditional on the class: the values of each of the K classes, in order."""

    thresholds: Shares
    """The lowest probability with which the class is in a set."""
    judged: Counts
    """Calibration images of the class, from which its threshold was computed."""
    covered: Counts
    """Validation images of the class whose set contains it."""
    total: Counts

    @model_validator(mode="after")
    def _columns_agree(self) -> "ByClass":
        columns = (self.thresholds, self.judged, self.covered, self.total)
        if len(set(map(len, columns))) != 1 or any(c > t for c, t in zip(self.covered, self.total, strict=False)):
            raise ValueError("expected thresholds and counts of each class, with covered <= total")
        return self

    def missed(self, promised: float) -> tuple[int, ...]:
        """Positions of the classes whose counts refute the promise, by an exact one-sided test at 5 % for all classes
        together (Holm); the clearest first.
        """
        counts = list(zip(self.covered, self.total, strict=True))
        low = {(c, t): chance_of(c, t, promised) for c, t in set(counts) if c < promised * t}
        chances = [low.get(count, 1.0) for count in counts]
        refuted = [k for k, p_value in enumerate(holm(chances)) if p_value < SIGNIFICANT]
        return tuple(sorted(refuted, key=chances.__getitem__))


class Coverage(Part):
    """Label sets with a promise, and whether it was kept."""

    promised: float = Field(gt=0, lt=1)
    """The promised share of images whose set contains the truth; by class, of the images of each class."""
    threshold: float = Field(ge=0, le=1)
    """The lowest probability with which a class is in the set; by class, the lowest of the thresholds, which gives
    larger sets."""
    covered: int = Field(ge=0)
    """Validation images whose set contains the truth."""
    total: int = Field(ge=1)
    mean_size: float = Field(ge=1)
    """Mean number of classes per set, on validation."""
    by_class: ByClass | None = None
    """None: one threshold for all classes."""

    @property
    def kept(self) -> bool:
        """Whether the promise is not refuted: neither for all images nor, by class, for any class."""
        return self.kept_of_all and not self.missed

    @property
    def kept_of_all(self) -> bool:
        """Whether the 95 % interval over all images is not completely below the promise: counts vary by chance."""
        return self.counted.high >= self.promised

    @cached_property
    def missed(self) -> tuple[int, ...]:
        """Positions of the classes for which it is refuted; empty if it is not by class."""
        return self.by_class.missed(self.promised) if self.by_class else ()

    @property
    def thresholds(self) -> float | np.ndarray:
        """The thresholds for `label_sets`: one for all classes, or one for each, shape (K,)."""
        return np.array(self.by_class.thresholds) if self.by_class else self.threshold

    @model_validator(mode="after")
    def _covered_is_a_part(self) -> "Coverage":
        if self.covered > self.total:
            raise ValueError(f"{self.covered} of {self.total} sets contain the truth")
        return self

    @model_validator(mode="after")
    def _classes_agree(self) -> "Coverage":
        each = self.by_class
        if each and (sum(each.covered), sum(each.total)) != (self.covered, self.total):
            raise ValueError("the counts of the classes do not add up to those of all images")
        if each and min(each.thresholds, default=-1) != self.threshold:
            raise ValueError("the threshold is not the lowest of those of the classes")
        return self

    @property
    def counted(self) -> Accuracy:
        """The count of covered images, with its interval."""
        return Accuracy(correct=self.covered, total=self.total)


class Withheld(Part):
    """A coverage that is not promised, because there are too few calibration images."""

    coverage: float = Field(gt=0, lt=1)
    needed: int = Field(ge=1)
    """Images that such a promise needs; by class, for each class."""
    judged: int = Field(ge=0)
    """The number of calibration images; by class, of the class with the fewest."""
    smallest: str | None = None
    """By class: the name of the class with the fewest."""


class Calibration(Part):
    """The reliability of the probabilities."""

    temperature: float = Field(gt=0, le=MAX_TEMPERATURE)
    """The graph divides its scores by this. 1 if no other value was better on the calibration images."""
    error_before: float = Field(ge=0, le=1)
    """Expected calibration error on validation without the temperature."""
    error_after: float = Field(ge=0, le=1)
    """Expected calibration error on validation with it, as served."""
    error_interval: tuple[float, float] | None = None
    """Its 95 % interval; None in older bundles."""
    method: Method | None = None
    """Whose answers chose temperature and thresholds; None in older bundles."""
    judged: int | None = Field(default=None, ge=0)
    """The number of calibration images; None in older bundles."""
    folds: int | None = Field(default=None, ge=1)
    """The number of models that answered them; None for only the published one."""
    coverages: tuple[Coverage, ...] = Field(max_length=MAX_COVERAGES)
    """Sorted by the promise; empty for a multi-label model."""
    withheld: tuple[Withheld, ...] = Field(default=(), max_length=MAX_COVERAGES)
    """Coverages that would need more calibration images, ascending; empty for a multi-label model."""

    def as_json(self) -> dict[str, Any]:
        """The values for a command's JSON output, with `kept` for each promise."""
        coverages = [one.model_dump() | {"kept": one.kept} for one in self.coverages]
        return self.model_dump() | {"coverages": coverages}

    @model_validator(mode="after")
    def _promises_rise(self) -> "Calibration":
        promised, withheld = [one.promised for one in self.coverages], [one.coverage for one in self.withheld]
        if sorted(set(promised)) != promised:
            raise ValueError("the promised coverages do not rise")
        if sorted(set(withheld)) != withheld or set(withheld) & set(promised):
            raise ValueError("the coverages that are not promised do not rise, or are promised too")
        return self

    @model_validator(mode="after")
    def _method_agrees(self) -> "Calibration":
        if (self.method is None) != (self.judged is None) or (self.method == "cross") != (self.folds is not None):
            raise ValueError("expected a method with the number of images that judged, and for cross of folds")
        return self

    @model_validator(mode="after")
    def _interval_has_the_error(self) -> "Calibration":
        low, high = self.error_interval or (0.0, 1.0)
        if not 0 <= low <= self.error_after <= high <= 1:  # also refuses NaN
            raise ValueError("the calibration error is not within its interval")
        return self
