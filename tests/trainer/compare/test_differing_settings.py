from dataclasses import replace
from typing import Any

from vouch.bundle.training import Augmentation, Recipe, Setting, SplitEntry, Training
from vouch.trainer.compare.differing_settings import differing_settings


def recipe(**others: Any) -> Recipe:
    return replace(Recipe(epochs=7, batch_size=8, learning_rate=0.1, optimizer="sgd"), **others)


def training(asked: dict[str, Setting], recipe: Recipe | None = None, fit_digest: str = "0" * 64) -> Training:
    return Training(
        asked=asked,
        recipe=recipe,
        seed=0,
        seconds=1.0,
        data="made up",
        data_digest="0" * 64,
        splits={"fit": SplitEntry(size=10, digest=fit_digest)},
        libraries={},
        source_revision=None,
    )


def test_only_settings_that_differ_are_listed() -> None:
    """Under recipe. stands what nobody can ask for by itself."""
    one = training({"model": "cnn", "seed": 1}, recipe(seed=1, width=64, focus=0.1))
    two = training({"model": "cnn", "seed": 2}, recipe(seed=2, width=64, focus=0.2))

    assert differing_settings([one, two]) == {"seed": (1, 2), "recipe.focus": (0.1, 0.2)}


def test_the_same_are_none() -> None:
    """A training and its repetition differ in nothing."""
    assert differing_settings([training({"seed": 1}), training({"seed": 1})]) == {}


def test_what_was_left_to_the_recipe_is_as_it_came_to_be() -> None:
    """0 epochs were asked for by both, which is 7 in one recipe and 20 in the other."""
    one, two = (training({"epochs": 0}, recipe(epochs=epochs)) for epochs in (7, 20))

    assert differing_settings([one, two]) == {"epochs": (7, 20)}


def test_parts_of_parts_have_names_with_dots() -> None:
    """A recipe without variants of the images has none of their settings."""
    found = differing_settings([training({}, recipe()), training({}, recipe(augment=Augmentation(crop=0.9)))])

    assert found["recipe.augment.crop"] == (None, 0.9)


def test_other_images_are_a_difference_too() -> None:
    """With the same settings, the beginning of the fit split's digest tells."""
    found = differing_settings([training({}), training({}, fit_digest="f" * 64)])

    assert found == {"fit.digest": ("00000000", "ffffffff")}
