from pathlib import Path

import numpy as np
import pytest

from vouch.bundle.listed import MODEL
from vouch.bundle.training import Augmentation, Recipe
from vouch.trainer.job import train
from vouch.trainer.learn.hard import for_hard_images
from vouch.trainer.settings import TrainSettings

RECIPE = Recipe(2, 8, 0.01, "adamw", augment=Augmentation(), model="cnn", width=16, hard_epochs=3)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainSettings:
    """Of bright and dark images, a quarter of them with the wrong label."""
    random = np.random.default_rng(0)
    bright, wrong = random.random(300) < 0.5, random.random(300) < 0.25
    images = random.integers(0, 128, (300, 12, 12)) + 120 * bright[:, None, None]
    np.savez(tmp_path / "lamps.npz", images=images.astype(np.uint8), labels=(bright ^ wrong).astype(np.int64))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vouch.trainer.run.recipe_for", lambda *_: RECIPE)
    return TrainSettings(data="lamps.npz", models=tmp_path / "models", tune_share=0.3, device="cpu")


def test_a_training_that_began_again_is_recorded_as_it_ended(settings: TrainSettings) -> None:
    """With the recipe for hard images and the reason, so that `--like` repeats it, straight and to the byte."""
    trained = train(settings)
    assert trained is not None
    like = train(settings.model_copy(update={"like": trained.bundle.path}))
    assert like is not None
    training, again = trained.bundle.manifest.training, like.bundle

    assert training.recipe == for_hard_images(RECIPE, an_epoch=9)
    assert training.history.epochs == 3
    assert training.history.notes[0].startswith("epoch 0: these images are hard: tune accuracy")
    assert again.read(MODEL) == trained.bundle.read(MODEL)
    assert not any("hard" in note for note in again.manifest.training.history.notes)
