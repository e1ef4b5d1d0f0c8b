"""A small training of digits, and arrays to train on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vouch.trainer.job import Trained
from vouch.trainer.job import train as train_here
from vouch.trainer.settings import TrainSettings


def train(settings: TrainSettings) -> Trained:
    """What training in a single process comes to."""
    trained = train_here(settings)
    assert trained is not None
    return trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to be in, without a settings file of somebody's."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("run")
        patch.chdir(path)
        yield path


@pytest.fixture(scope="module")
def settings(folder: Path) -> TrainSettings:
    return TrainSettings(
        data="digits",
        classes="7,3",
        model="linear",
        epochs=2,
        seed=5,
        name="sevens",
        models=folder / "models",
        device="cpu",
        track="tensorboard",
        track_to=str(folder / "runs"),
    )


@pytest.fixture(scope="module")
def trained(settings: TrainSettings) -> Trained:
    """Sevens and threes, learned and published."""
    return train(settings)


def save(path: Path, **arrays: np.ndarray) -> TrainSettings:
    """The settings for training on these arrays."""
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for a flag
    return TrainSettings(data=str(path), model="linear", epochs=1, models=path.parent / "models")


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4), dtype=np.uint8)
