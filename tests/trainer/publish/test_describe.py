from dataclasses import replace
from pathlib import Path

import pytest

from vouch.bundle.training import Circumstances, Recipe
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.publish.describe import data_name, describe
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(epochs=5, batch_size=32, learning_rate=0.02, optimizer="sgd", seed=3)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("digits", "digits"),
        ("/home/somebody/my photos/", "my photos"),
        ("../photos.npz", "photos.npz"),
        ("photos/cats and dogs", "cats and dogs"),
        ("/", "data"),
    ],
)
def test_only_the_name_of_the_data_is_published(path: str, name: str) -> None:
    """Where it lies on its owner's machine is nobody else's business."""
    assert data_name(path) == name


def test_here_and_above_have_names_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vouch train .` is of the folder that it is called in."""
    (tmp_path / "pets" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pets" / "train")

    assert (data_name("."), data_name("..")) == ("train", "pets")


def test_a_training_is_described(splits: Splits, fitted: tuple[Classifier, Fitted]) -> None:
    """What was asked for, the recipe, where, how it went and of what; no path, whichever setting held it."""
    where, digests = Circumstances(threads=1), splits.digests()
    course = replace(fitted[1], seconds=1.23456)

    training = describe({"data": "/home/somebody/digits", "seed": 3}, RECIPE, where, course, splits, digests)

    assert (training.asked, training.data) == ({"data": "digits", "seed": 3}, "digits")
    assert (training.recipe, training.circumstances, training.seed, training.seconds) == (RECIPE, where, 3, 1.235)
    assert (training.history.epochs, training.history.best) == (5, course.best.number)
    assert training.history.fit_loss[0] is None
    assert {name: (part.size, part.digest) for name, part in training.splits.items()} == {
        name: (len(part), digests[name]) for name, part in splits.by_name.items()
    }
    assert "somebody" not in training.model_dump_json()
