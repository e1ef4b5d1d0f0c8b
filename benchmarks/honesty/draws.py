"""Resamplings: images for training, some for validation, and many others to measure the truth; the parts are disjoint.

All classes have equal numbers of images in each part. The draw depends only on the numbers of the cell and of the
resampling.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vouch.sources.examples import Examples, Source
from vouch.sources.load import load
from vouch.sources.names import Names
from vouch.sources.wanted import Wanted

VALIDATION = 4
"""The images to learn from are so many times those to validate by: as --validation-share leaves them, 80 % and 20 %."""
TRUTH = 4_000
"""Images of each class that the truth is counted on, where there are so many."""


@dataclass(frozen=True, eq=False)
class Population:
    """All images that are drawn from; an example's name is its place here."""

    classes: tuple[str, ...]
    examples: Examples


@dataclass(frozen=True, eq=False)
class Draw:
    """One resampling."""

    number: int
    source: Source
    """What `vouch train` would be given: fit and validation."""
    truth: Examples
    """What it is not."""

    @property
    def pool(self) -> Examples:
        """What is learned from, however Vouch divides it."""
        return self.source.splits["fit"]

    @property
    def validation(self) -> Examples:
        """What the claim is counted on."""
        return self.source.splits["validation"]


def draw(population: Population, a_class: int, number: int, truth: int = TRUTH) -> Draw:
    """
    Args:
        a_class: images of each class to learn from.
        number: of the resampling.
        truth: images of each class, at most, that the truth is counted on.
    """
    random, labels = np.random.default_rng([a_class, number]), population.examples.labels
    rows = random.permutation(len(labels))
    of_classes = [rows[labels[rows] == label] for label in range(len(population.classes))]
    held = -(-a_class // VALIDATION)
    left = min(map(len, of_classes)) - a_class - held
    assert left > 0, "the population has images enough"
    ends = np.cumsum([a_class, held, min(truth, left)])
    pool, validation, others = (
        random.permutation(np.concatenate([of_class[end - count : end] for of_class in of_classes]))
        for end, count in zip(ends, np.diff(ends, prepend=0), strict=True)
    )
    parts = population.examples[pool], population.examples[validation]
    source = Source("a resampling", population.classes, {"fit": parts[0], "validation": parts[1]})
    return Draw(number, source, population.examples[others])


def digits(mnist: str) -> Population:
    """MNIST's fit images."""
    source = load(mnist)
    return Population(source.classes, source.splits["fit"])


def photographs(folder: Path) -> Population:
    """All images of a folder, whatever splits it has, as a backbone takes them."""
    source = load(str(folder), Wanted(size=(224, 224), channels=3, fit="crop"))
    parts = list(source.splits.values())
    images = np.concatenate([part.images[np.arange(len(part))] for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    return Population(source.classes, Examples(images, labels, names=Names("photographs")))


def places(examples: Examples) -> np.ndarray:
    """Where examples of a draw are in its population: int64, shape (N,)."""
    rows = examples.names.rows
    return np.arange(len(examples)) if rows is None else rows
