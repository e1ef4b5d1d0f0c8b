"""One resampling, from the draw to its row of figures; in a worker process that has loaded the images."""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.honesty.beside import Inputs, others, plain_split
from benchmarks.honesty.cells import Cell, Kind
from benchmarks.honesty.draws import TRUTH, Draw, Population, digits, draw, photographs, places
from benchmarks.honesty.kept_features import KeptFeatures, kept_features
from benchmarks.honesty.ours import Learner, vouched
from benchmarks.honesty.promises import BESIDE, Figures, of_thresholds, of_vouched, where_both

OF_A_CNN = 1_000
"""Images of each class that the truth is counted on: a cnn takes longer to answer than to be wrong about it."""


@dataclass(frozen=True)
class Places:
    """Where the images are."""

    mnist: str
    photographs: Path
    features: Path
    """A file of `make_features`."""


def block(places_: Places, cell: Cell, numbers: range) -> tuple[list[Figures], float]:
    """The rows of these resamplings of a cell, and the seconds of a core that they took."""
    began = time.process_time()
    rows = [row(places_, cell, number) for number in numbers]
    return rows, time.process_time() - began


def row(places_: Places, cell: Cell, number: int) -> Figures:
    """All that is found of a resampling."""
    population, learn = _prepared(places_, cell.kind)
    drawn = draw(population, cell.a_class, number, OF_A_CNN if cell.kind == "cnn" else TRUTH)
    ours = vouched(learn, drawn)
    found = of_vouched(ours, drawn)
    if number < cell.beside:
        found |= of_thresholds(BESIDE, ours.promises, ours.truth, drawn.truth.labels) | plain_split(learn, drawn)
        found |= where_both(found)
    if number < cell.beside and cell.kind != "cnn":
        found |= others(_inputs(places_, cell.kind, drawn), drawn)
    return found


@cache
def _prepared(places_: Places, kind: Kind) -> tuple[Population, Learner]:
    if kind == "insects":
        return _photographs(places_)[0], Learner("backbone", _photographs(places_)[1])
    return _digits(places_), Learner(kind)


@cache
def _digits(places_: Places) -> Population:
    return digits(places_.mnist)


@cache
def _photographs(places_: Places) -> tuple[Population, KeptFeatures]:
    population = photographs(places_.photographs)
    return population, kept_features(population, places_.features)


def _inputs(places_: Places, kind: Kind, drawn: Draw) -> Inputs:
    """What a logistic regression learns from and is asked: pixels, or standardised features of the last layer."""
    if kind == "insects":
        features = _photographs(places_)[1]
        known = features.known[False][:, : features.backbone.facts.features - features.backbone.earlier]
        pool = known[places(drawn.pool)]
        mean, spread = pool.mean(axis=0), pool.std(axis=0) + 1e-6
        return (pool - mean) / spread, (known[places(drawn.truth)] - mean) / spread
    pool, truth = (part.images[:].reshape(len(part), -1) / np.float32(255) for part in (drawn.pool, drawn.truth))
    return pool, truth
