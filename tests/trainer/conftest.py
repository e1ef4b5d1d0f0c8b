import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vouch.bundle.training import Recipe
from vouch.sources.digits import load_digits
from vouch.sources.examples import Examples, Source
from vouch.trainer.judge.export import export
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.splits.split import Splits, make_splits


@pytest.fixture(scope="session")
def digits() -> Source:
    """scikit-learn's digits: real images of 8 x 8."""
    return load_digits("digits")


@pytest.fixture(scope="session")
def splits(digits: Source) -> Splits:
    """The digits, split; nobody may change them."""
    made = make_splits(digits, tune_share=0.1, validation_share=0.2, seed=0, allow_duplicates=False)
    for part in made.by_name.values():
        assert isinstance(part.images, np.ndarray)
        part.images.setflags(write=False)
    return made


@pytest.fixture(scope="session")
def several(splits: Splits) -> Splits:
    """The digits with labels of which any number holds: odd, round (a closed loop), large (5 or more). A 4 has none."""

    def said_of(digits: np.ndarray) -> np.ndarray:
        return np.stack([digits % 2 == 1, np.isin(digits, (0, 6, 8, 9)), digits >= 5], axis=1)

    parts = {name: Examples(part.images, said_of(part.labels)) for name, part in splits.by_name.items()}
    return Splits(("odd", "round", "large"), parts["fit"], parts["tune"], parts["validation"], ())


@pytest.fixture(scope="session")
def fitted(splits: Splits) -> tuple[Classifier, Fitted]:
    """A single layer that has learned the digits, and how that went."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), classes=10)
    recipe = Recipe(epochs=5, batch_size=32, learning_rate=0.02, optimizer="sgd")
    return classifier, fit(classifier, splits, recipe)


@pytest.fixture(scope="session")
def graph(fitted: tuple[Classifier, Fitted]) -> bytes:
    """The single layer's exported file."""
    return export(fitted[0], (8, 8))


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables and no settings file of somebody's are read."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("VOUCH_") or name == "OMP_NUM_THREADS":
            monkeypatch.delenv(name)


@pytest.fixture
def noise() -> np.ndarray:
    """64 made-up images of 8 x 8."""
    return np.random.default_rng(0).integers(0, 256, (64, 8, 8), dtype=np.uint8)
