"""How far a model's probabilities can be relied on, as its manifest says it: their error, and promised coverages."""

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
"""Fitted ones are at most 20; the scores without one of 1e308 would be infinite."""
MAX_COVERAGES = 100

Method = Literal["split", "cross"]
"""Whose answers chose temperature and thresholds: those of the published model to images that were set aside for it, or
those of folds' models, each to images that it had not learned."""


Shares = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], FailFast(), Field(max_length=MAX_CLASSES)]
Counts = Annotated[tuple[Annotated[int, Field(ge=0)], ...], FailFast(), Field(max_length=MAX_CLASSES)]


class ByClass(Part):
    """Of label sets conditional on the class, what concerns each of the K classes, in their order."""

    thresholds: Shares
    """The probability from which on the class belongs to a set."""
    judged: Counts
    """Images of the class that judged: its threshold rests on them."""
    covered: Counts
    """Of the validation images of the class, those whose set contains it."""
    total: Counts

    @model_validator(mode="after")
    def _columns_agree(self) -> "ByClass":
        columns = (self.thresholds, self.judged, self.covered, self.total)
        if len(set(map(len, columns))) != 1 or any(c > t for c, t in zip(self.covered, self.total, strict=False)):
            raise ValueError("expected thresholds and counts of each class, and no more covered images than there are")
        return self

    def missed(self, promised: float) -> tuple[int, ...]:
        """Positions of the classes whose counts refute the promise, by an exact one-sided test at 5 % for all classes
        together (Holm); the surest first.
        """
        counts = list(zip(self.covered, self.total, strict=True))
        low = {(c, t): chance_of(c, t, promised) for c, t in set(counts) if c < promised * t}
        chances = [low.get(count, 1.0) for count in counts]
        refuted = [k for k, p_value in enumerate(holm(chances)) if p_value < SIGNIFICANT]
        return tuple(sorted(refuted, key=chances.__getitem__))


class Coverage(Part):
    """Label sets with a promise, and how it was kept."""

    promised: float = Field(gt=0, lt=1)
    """The share of images whose set contains the truth; by class, of the images of each class."""
    threshold: float = Field(ge=0, le=1)
    """The probability from which on a class belongs to the set; by class, the lowest of the thresholds, which gives
    larger sets."""
    covered: int = Field(ge=0)
    """Of the validation images, those whose set contains the truth."""
    total: int = Field(ge=1)
    mean_size: float = Field(ge=1)
    """Classes a set, on validation."""
    by_class: ByClass | None = None
    """None: one threshold for all classes."""

    @property
    def kept(self) -> bool:
        """Whether the promise is not refuted: neither of all images nor, by class, of those of any class."""
        return self.kept_of_all and not self.missed

    @property
    def kept_of_all(self) -> bool:
        """No count is exact, so the 95 % interval of all images together must only not lie below the promise."""
        return self.counted.high >= self.promised

    @cached_property
    def missed(self) -> tuple[int, ...]:
        """Positions of the classes of whose images it is refuted; none where it is not by class."""
        return self.by_class.missed(self.promised) if self.by_class else ()

    @property
    def thresholds(self) -> float | np.ndarray:
        """As `label_sets` takes them: one for all classes, or one for each, shape (K,)."""
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
        """The promise's count, with its interval."""
        return Accuracy(correct=self.covered, total=self.total)


class Withheld(Part):
    """A coverage that is not promised, because too few images judge."""

    coverage: float = Field(gt=0, lt=1)
    needed: int = Field(ge=1)
    """Images that such a promise takes; by class, of each class."""
    judged: int = Field(ge=0)
    """And how many there are; by class, of the class with the fewest."""
    smallest: str | None = None
    """By class: the name of that class."""


class Calibration(Part):
    """How far the probabilities can be relied on."""

    temperature: float = Field(gt=0, le=MAX_TEMPERATURE)
    """Scores are divided by it, inside the graph. 1 where no other did better on the images that judge."""
    error_before: float = Field(ge=0, le=1)
    """Expected calibration error on validation without the temperature."""
    error_after: float = Field(ge=0, le=1)
    """And with it, as served."""
    error_interval: tuple[float, float] | None = None
    """Its 95 % interval; None in bundles from before it was counted."""
    method: Method | None = None
    """Whose answers temperature and thresholds were chosen by; None in bundles from before it was recorded."""
    judged: int | None = Field(default=None, ge=0)
    """To so many images; likewise."""
    folds: int | None = Field(default=None, ge=1)
    """How many models answered them; None where it was the published one."""
    coverages: tuple[Coverage, ...] = Field(max_length=MAX_COVERAGES)
    """In rising order of the promise; none for a multi-label model."""
    withheld: tuple[Withheld, ...] = Field(default=(), max_length=MAX_COVERAGES)
    """Coverages that would be promised if more images judged, rising; none for a multi-label model."""

    def as_json(self) -> dict[str, Any]:
        """For programs that read a command's output: with `kept` of each promise."""
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
        if not 0 <= low <= self.error_after <= high <= 1:  # NaN is not within
            raise ValueError("the calibration error does not lie within its interval")
        return self
