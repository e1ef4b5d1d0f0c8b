"""The features of a population of photographs, computed once and reused in every resampling."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.honesty.draws import Population, places
from vouch.sources.examples import Examples
from vouch.trainer.learn.backbone.backbone import Backbone, lite0
from vouch.trainer.learn.backbone.features import features
from vouch.trainer.learn.frozen import Asked, Made


class KeptFeatures(Made):
    """In place of what makes features: of an example of the population it knows them."""

    def __init__(self, backbone: Backbone, plain: np.ndarray, mirrored: np.ndarray) -> None:
        """
        Args:
            plain, mirrored: float32, shape (N, D), of the population's images, in its order.
        """
        super().__init__(backbone, threads=1)
        self.known = {False: plain, True: mirrored}

    def of(self, examples: Examples, flipped: bool = False) -> np.ndarray:
        """Of some examples of the population."""
        return np.asarray(self.known[flipped][places(examples)])

    def collect(self, wanted: tuple[Asked, ...], reached: Callable[[int], None]) -> None:  # type: ignore[override]
        """All are there."""


def make_features(population: Population, path: Path, threads: int) -> None:
    """Makes them, and keeps them in this file."""
    images = population.examples.images
    backbone = lite0(images.shape[1:])
    both = {str(flipped): features(backbone, images, flipped, threads) for flipped in (False, True)}
    np.savez(path, **both)  # type: ignore[arg-type]  # numpy's stub takes them for a flag


def kept_features(population: Population, path: Path) -> KeptFeatures:
    """From a file of `make_features`, for the same population."""
    with np.load(path) as arrays:
        return KeptFeatures(lite0(population.examples.images.shape[1:]), arrays["False"], arrays["True"])
