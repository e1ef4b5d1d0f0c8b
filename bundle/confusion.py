"""The confusion matrix as counts of the pairs (label, answer) that occurred.

10,000 classes make 100 million pairs, but at most as many occur as there are images.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import FailFast, Field, model_validator

from vouch.bundle.part import Part

MAX_CLASSES = 10_000
"""Checked during parsing, so that wrong numbers take no more memory than their text."""
MAX_PAIRS = 1_000_000
"""At most one pair per image of the largest validation split."""
Positions = Annotated[tuple[Annotated[int, Field(ge=0, lt=MAX_CLASSES)], ...], FailFast(), Field(max_length=MAX_PAIRS)]
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], FailFast(), Field(max_length=MAX_PAIRS)]


class Confusion(Part):
    """Three columns of equal length, one row per pair that occurred, sorted by label, then by answer.

    Columns, because a list for each pair would take many times the memory of its text.
    """

    labels: Positions
    """The true class, as a position in the labels."""
    answers: Positions
    """The answered class."""
    images: Counts
    """The number of images with this pair."""

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if not len(self.labels) == len(self.answers) == len(self.images):
            raise ValueError("the columns of the confusion matrix differ in length")
        codes = np.array(self.labels, np.int64) * MAX_CLASSES + np.array(self.answers, np.int64)
        if (np.diff(codes) <= 0).any():
            raise ValueError("the pairs of the confusion matrix are not sorted, or one occurs twice")
        return self

    @classmethod
    def counted(cls, pairs: Mapping[tuple[int, int], int]) -> Self:
        """The matrix from the numbers of images per label and answer."""
        rows = sorted((*pair, images) for pair, images in pairs.items() if images)
        labels, answers, images = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(labels=labels, answers=answers, images=images)

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int]]) -> Self:
        """The matrix from a square of counts: the row is the true class, the column the answer.

        Raises:
            ValueError: it is not a square of counts.
        """
        if any(len(row) != len(rows) for row in rows) or any(count < 0 for row in rows for count in row):
            raise ValueError("the confusion matrix is not a square of counts")
        return cls.counted({(t, a): count for t, row in enumerate(rows) for a, count in enumerate(row) if count})

    @property
    def classes(self) -> int:
        """The smallest number of classes that fits the pairs."""
        return 1 + max((*self.labels, *self.answers), default=-1)

    @property
    def total(self) -> int:
        """The number of all images."""
        return sum(self.images)

    @property
    def correct(self) -> int:
        """The number of images with a right answer."""
        return sum(n for label, answer, n in self.pairs() if label == answer)

    def of_each(self, classes: int) -> np.ndarray:
        """Images of each class: int64, shape (classes,)."""
        images = np.zeros(classes, np.int64)
        np.add.at(images, list(self.labels), list(self.images))
        return images

    def right_of_each(self, classes: int) -> np.ndarray:
        """Right answers of each class: int64, shape (classes,)."""
        right = np.zeros(classes, np.int64)
        for label, answer, images in self.pairs():
            right[label] += images if label == answer else 0
        return right

    def as_rows(self, classes: int) -> np.ndarray:
        """The square of counts, int64, shape (classes, classes); only for few classes."""
        rows = np.zeros((classes, classes), np.int64)
        rows[list(self.labels), list(self.answers)] = self.images
        return rows

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """Each pair's label, answer and number of images."""
        return zip(self.labels, self.answers, self.images, strict=True)


class PairCounter:
    """A running count of pairs."""

    def __init__(self) -> None:
        self._pairs: Counter[int] = Counter()

    def add(self, labels: np.ndarray, answers: np.ndarray) -> None:
        """Adds a batch: integers below MAX_CLASSES, both of shape (N,)."""
        codes, counts = np.unique(labels.astype(np.int64) * MAX_CLASSES + answers, return_counts=True)
        self._pairs.update(dict(zip(codes.tolist(), counts.tolist(), strict=True)))

    def confusion(self) -> Confusion:
        """The count so far."""
        return Confusion.counted({divmod(code, MAX_CLASSES): images for code, images in self._pairs.items()})
