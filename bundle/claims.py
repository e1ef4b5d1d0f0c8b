"""What a bundle claims: how many right answers, and which ones were right and wrong."""

from pydantic import Field, model_validator

from bundle.accuracy import Accuracy, Tally
from bundle.part import Part


class Claim(Part):
    """The count on the validation split that the trainer made on the exported graph, in ONNX Runtime."""

    correct: int = Field(ge=0)
    total: int = Field(ge=1)
    low: float
    """Wilson 95 % interval, lower end."""
    high: float
    confusion: tuple[tuple[int, ...], ...]
    """K rows of K: row the true class, column the answer."""

    @classmethod
    def of(cls, tally: Tally) -> "Claim":
        """The claim that a finished count makes."""
        count = tally.accuracy
        confusion = tuple(tuple(row) for row in tally.confusion.tolist())
        return cls(correct=count.correct, total=count.total, low=count.low, high=count.high, confusion=confusion)

    @property
    def accuracy(self) -> Accuracy:
        """The claim as a count."""
        return Accuracy(correct=self.correct, total=self.total)

    @property
    def per_class(self) -> list[Accuracy]:
        """The count for the images of each class, in the order of the labels."""
        return [Accuracy(correct=row[k], total=sum(row)) for k, row in enumerate(self.confusion)]

    @model_validator(mode="after")
    def _figures_agree(self) -> "Claim":
        rows = self.confusion
        if any(len(row) != len(rows) for row in rows) or any(count < 0 for row in rows for count in row):
            raise ValueError("the confusion matrix is not a square of counts")
        if sum(map(sum, rows)) != self.total or sum(row[k] for k, row in enumerate(rows)) != self.correct:
            raise ValueError("the confusion matrix does not add up to the claim")
        stated, right = (self.low, self.high), (self.accuracy.low, self.accuracy.high)
        if not all(abs(one - other) <= 1e-6 for one, other in zip(stated, right, strict=True)):  # NaN is not within
            raise ValueError("low and high are not the Wilson 95 % interval of the claim")
        return self
