"""How far a model's probabilities can be relied on, as its manifest says it: their error, and promised coverages."""

from typing import Any, Literal

from pydantic import Field, model_validator

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.part import Part

MAX_TEMPERATURE = 1_000.0
"""Fitted ones are at most 20; the scores without one of 1e308 would be infinite."""
MAX_COVERAGES = 100

Method = Literal["split", "cross"]
"""Whose answers chose temperature and thresholds: those of the published model to images that were set aside for it, or
those of folds' models, each to images that it had not learned."""


class Coverage(Part):
    """Label sets with a promise, and how it was kept."""

    promised: float = Field(gt=0, lt=1)
    """The share of images whose set contains the truth."""
    threshold: float = Field(ge=0, le=1)
    """The probability from which on a class belongs to the set."""
    covered: int = Field(ge=0)
    """Of the validation images, those whose set contains the truth."""
    total: int = Field(ge=1)
    mean_size: float = Field(ge=1)
    """Classes a set, on validation."""

    @property
    def kept(self) -> bool:
        """Whether the promise is not refuted: no count is exact, so its 95 % interval must only not lie below it."""
        return self.counted.high >= self.promised

    @model_validator(mode="after")
    def _covered_is_a_part(self) -> "Coverage":
        if self.covered > self.total:
            raise ValueError(f"{self.covered} of {self.total} sets contain the truth")
        return self

    @property
    def counted(self) -> Accuracy:
        """The promise's count, with its interval."""
        return Accuracy(correct=self.covered, total=self.total)


class Withheld(Part):
    """A coverage that is not promised, because too few images judge."""

    coverage: float = Field(gt=0, lt=1)
    needed: int = Field(ge=1)
    """Images that such a promise takes."""
    judged: int = Field(ge=0)
    """And how many there are."""


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
