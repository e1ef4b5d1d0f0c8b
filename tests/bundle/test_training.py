from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from vouch.bundle.training import MAX_EPOCHS, Augmentation, Circumstances, History, Recipe, Setting, Training, of_older

RECIPE: dict[str, Any] = {"epochs": 7, "batch_size": 128, "learning_rate": 0.01, "optimizer": "adamw"}


def epoch(number: int, **others: Any) -> dict[str, Any]:
    return {"number": number, "tune_loss": 1.0, "tune_accuracy": 0.5, "images": 100} | others


def older(settings: dict[str, Any], libraries: dict[str, str]) -> Training:
    """A training as formats 1 and 2 have it."""
    return Training.model_validate(
        of_older(
            {
                "settings": settings,
                "seed": 0,
                "seconds": 1,
                "data": "made up",
                "data_digest": "0" * 64,
                "splits": {},
                "libraries": libraries,
                "source_revision": None,
            }
        )
    )


def test_a_history_has_a_column_a_measure() -> None:
    """What is missing, or no finite number, is None; every column has an entry for each epoch."""
    history = History.of([epoch(0, fit_loss=float("nan")), epoch(1, fit_loss=0.25), epoch(2, fit_loss=1e999)], best=1)

    assert history.fit_loss == (None, 0.25, None)
    assert history.images == (100, 100, 100)
    assert history.seconds == (None, None, None)
    assert history.epochs == 2
    assert History.model_validate_json(history.model_dump_json()) == history
    assert History().epochs is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"tune_loss": [1.0, 2.0], "fit_loss": [1.0]},
        {"best": 0},
        {"best": -1},
        {"tune_loss": [None] * (MAX_EPOCHS + 2)},
        {"momentum": [1.0]},
    ],
)
def test_a_history_that_does_not_agree_with_itself_is_refused(wrong: dict[str, Any]) -> None:
    """Columns of other lengths, a best epoch that there is not, more than can be asked for."""
    with pytest.raises(ValidationError):
        History.model_validate(wrong)


@pytest.mark.parametrize("wrong", ["x" * 1_000_001, float("inf"), {"a": 1}, ["a"] * 201, [["a"]]])
def test_a_setting_is_one_value_or_a_short_list_of_names(wrong: object) -> None:
    """Nothing that a flag cannot give, and nothing without a bound."""
    with pytest.raises(ValidationError):
        TypeAdapter(Setting).validate_python(wrong)


@pytest.mark.parametrize("value", [True, 0, 0.05, "cnn", None])
def test_a_setting_keeps_its_kind(value: object) -> None:
    """True stays a yes, and 0 a number."""
    read = TypeAdapter(Setting).validate_python(value)

    assert (read, type(read)) == (value, type(value))


def test_older_formats_have_one_dictionary() -> None:
    """It holds what was asked for and what came of it; each goes to its own place."""
    parts = older(
        {
            "model": "cnn",
            "seed": 3,
            "threads": 2,
            "processes": 1,
            "device": "cpu",
            "name": "digits",
            "recipe_in_full": RECIPE | {"augment": {"crop": 0.9}},
            "epochs_seen": [epoch(0), epoch(1)],
            "best_epoch": 1,
        },
        {"torch": "2.13.0"},
    )

    assert parts.asked == {"model": "cnn", "seed": 3, "threads": 2}
    assert parts.recipe == Recipe(**RECIPE, augment=Augmentation(crop=0.9))
    assert parts.circumstances == Circumstances(device="cpu", threads=2, processes=1, torch="2.13.0")
    assert (parts.history.epochs, parts.history.best) == (1, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"recipe_in_full": RECIPE | {"augment": None, "momentum": 1}},
        {"recipe_in_full": {"epochs": 7, "augment": None}},
        {"recipe": "default", "epochs_seen": 7, "best_epoch": "last", "threads": "all", "device": ["cpu"]},
        {"recipe_in_full": [], "best_epoch": 3, "processes": 0, "loss": float("nan"), "classes": {"a": 1}},
    ],
)
def test_what_older_formats_say_otherwise_is_left_out(settings: dict[str, Any]) -> None:
    """They were never checked, and must still be read: gaps are not filled, and nothing is made up."""
    training = older(settings, {})

    assert (training.recipe, training.circumstances) == (None, Circumstances())
    assert training.history == History()
    assert set(training.asked) <= {"recipe", "threads"}


def test_a_training_without_a_backbone_is_as_older_versions_wrote_it() -> None:
    """Manifests that say nothing of a backbone are read, and have none."""
    training = older({}, {})

    assert (training.backbone, training.head) == (None, None)


def test_what_changed_on_the_way_is_recorded() -> None:
    """With the number of the epoch; epochs that say nothing have no entry."""
    history = History.of([{}, {"note": "variants are made half as strong"}, {"note": ""}], best=1)

    assert history.notes == ("epoch 1: variants are made half as strong",)
    assert History.of([{}, {}], best=0).notes == ()
