from typing import Any

from vouch.bundle.manifest import SplitEntry, Training
from vouch.trainer.compare.differing_settings import differing_settings, recipe_of


def training(settings: dict[str, Any], fit_digest: str = "0" * 64) -> Training:
    return Training(
        settings=settings,
        seed=0,
        seconds=1.0,
        data="made up",
        data_digest="0" * 64,
        splits={"fit": SplitEntry(size=10, digest=fit_digest)},
        libraries={},
        source_revision=None,
    )


def test_only_settings_that_differ_are_listed() -> None:
    """Under recipe. stands what nobody can ask for by itself; how a training went is no setting."""
    one = {"model": "cnn", "seed": 1, "best_epoch": 3, "recipe_in_full": {"epochs": 7, "seed": 1, "width": 64}}
    two = {"model": "cnn", "seed": 2, "best_epoch": 4, "recipe_in_full": {"epochs": 9, "seed": 2, "width": 64}}

    assert differing_settings([training(one), training(two)]) == {"seed": (1, 2), "recipe.epochs": (7, 9)}


def test_the_same_are_none() -> None:
    """A training and its repetition differ in nothing, whatever the models are called."""
    assert differing_settings([training({"seed": 1, "name": "a"}), training({"seed": 1, "name": "b"})]) == {}


def test_what_was_left_to_the_recipe_is_as_it_came_to_be() -> None:
    """0 epochs were asked for by both, which is 7 in one recipe and 20 in the other."""
    one, two = ({"epochs": 0, "recipe_in_full": {"epochs": epochs}} for epochs in (7, 20))

    assert differing_settings([training(one), training(two)]) == {"epochs": (7, 20)}


def test_parts_of_parts_have_names_with_dots() -> None:
    """A recipe without variants of the images has none of their settings."""
    one = {"recipe_in_full": {"augment": None}}
    two = {"recipe_in_full": {"augment": {"crop": 0.9, "bend": 0.1}}}
    three = {"recipe_in_full": {"augment": {"crop": 0.9, "bend": 0.1}}}

    assert differing_settings([training(settings) for settings in (one, two, three)]) == {
        "recipe.augment.crop": (None, 0.9, 0.9),
        "recipe.augment.bend": (None, 0.1, 0.1),
    }


def test_the_first_format_has_its_recipe_elsewhere() -> None:
    """Its `recipe` is what `recipe_in_full` is now; `recipe` itself, a name today, is then unknown."""
    old = training({"epochs": 0, "recipe": {"epochs": 20}})
    new = training({"epochs": 0, "recipe": "best", "recipe_in_full": {"epochs": 20}})

    assert differing_settings([old, new]) == {"recipe": (None, "best")}
    assert recipe_of(old) == recipe_of(new) == {"epochs": 20}
    assert recipe_of(training({})) == {}


def test_other_images_are_a_difference_too() -> None:
    """With the same settings, the beginning of the fit split's digest tells."""
    assert differing_settings([training({}), training({}, "f" * 64)]) == {"fit.digest": ("00000000", "ffffffff")}
