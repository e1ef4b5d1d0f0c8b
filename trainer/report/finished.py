"""A finished training: the input of the report, as values."""

from dataclasses import dataclass

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.training import Recipe, Training
from vouch.trainer.judge.exam import Exam
from vouch.trainer.judge.hindsight import Hindsight
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.splits.split import Splits


@dataclass(frozen=True)
class Digests:
    """SHA-256 of one thing before and after the fit."""

    before: str
    after: str


@dataclass(frozen=True, eq=False)
class Run:
    """A finished training."""

    name: str
    """Name of the model."""
    classifier: Classifier
    """With the kept weights, on the CPU."""
    splits: Splits
    recipe: Recipe
    fitted: Fitted
    training: Training
    exam: Exam
    """The exported graph and its evaluation; the claim counts these answers to validation."""
    images: Digests
    """Of all splits' images and labels."""
    weights: Digests
    hindsight: Hindsight
    """What the answers show about the data."""

    @property
    def claim(self) -> Accuracy:
        """Right answers to validation."""
        return self.exam.claim.accuracy

    @property
    def judged_by(self) -> str | None:
        """The images by which temperature, thresholds and label sets were chosen, in words; None if there were none."""
        splits, folds = self.splits, self.fitted.folds
        if len(splits.tune):
            return f"the {len(splits.tune):,} images of tune, which the model has not learned from ({splits.judged_by})"
        if not folds:
            return None
        return (
            f"{len(folds)} folds of the {len(splits.fit):,} fit images: the images of each fold were answered by a "
            f"model that had learned only from the others ({splits.judged_by})"
        )

    @property
    def several(self) -> bool:
        """Whether an image may have several labels."""
        return self.splits.validation.labels.ndim == 2
