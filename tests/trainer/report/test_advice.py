"""The three sentences as tables: numbers in, advice out."""

import pytest

from vouch.bundle.accuracy import Accuracy
from vouch.trainer.judge.curve import Curve
from vouch.trainer.report.advice import (
    Ability,
    ClassFound,
    Contradicted,
    images_or_model,
    labels_to_look_at,
    more_images,
)


def of(correct: int, total: int = 100) -> Accuracy:
    return Accuracy(correct=correct, total=total)


@pytest.mark.parametrize(
    ("found", "begins"),
    [
        ({"ants": (98, 100, 500), "bees": (70, 100, 60)}, "Add images of bees first: 70 of 100 found, 95 % interval"),
        ({"ants": (8, 10, 50), "bees": (9, 10, 60)}, "No class clearly needs more images than the others: class ants"),
        ({"ants": (10, 10, 50), "bees": (12, 12, 30)}, "No class needs more images than the others: every"),
        ({"ants": (0, 0, 50), "bees": (3, 12, 30), "flies": (99, 100, 9)}, "Add images of bees first: 3 of 12"),
        (
            {"ants": (0, 4, 9), "bees": (9, 9, 60), "flies": (0, 6, 9)},
            "Only images of bees are recognised, and none of the 10 images of other classes: the model",
        ),
        ({"a" * 99: (1, 90, 2), "bees": (80, 90, 2)}, "Add images of aaaa"),
    ],
)
def test_more_images_of_which_class(found: dict[str, tuple[int, int, int]], begins: str) -> None:
    """Of one that is found less than the others by more than chance; of none, where chance explains it."""
    said = more_images([ClassFound(name, of(*counts), images) for name, (*counts, images) in found.items()])

    assert said.startswith(begins)
    assert len(said) < 220


def test_the_worst_of_many_classes_may_be_so_by_chance() -> None:
    """One of a hundred is found as seldom as this without any reason."""
    usual = [ClassFound(f"class {k}", of(19, 20), 100) for k in range(99)]

    assert more_images([*usual, ClassFound("odd", of(16, 20), 100)]).startswith("No class clearly needs")
    assert more_images([usual[0], ClassFound("odd", of(10, 20), 100)], "label").startswith("Add images of odd first")


def test_one_label_alone_is_spoken_of_as_a_label() -> None:
    """A multi-label model has labels, no classes."""
    found = [ClassFound(name, of(right, 10), 50) for name, right in (("ants", 0), ("bees", 9), ("flies", 0))]

    assert more_images(found, "label") == (
        "Only images of bees are recognised, and none of the 20 images of other labels: the model does not distinguish "
        "the labels, and more images of one label will not change that"
    )


def test_one_mistake_is_no_reason_where_all_others_are_found() -> None:
    """It may have hit either class; several of them have not by chance."""
    few, many = ([ClassFound("ants", of(n, 10), 50), ClassFound("bees", of(10, 10), 60)] for n in (9, 3))

    assert "more images than the others: class ants has the lowest recall (9 of 10" in more_images(few)
    assert more_images(many).startswith("Add images of ants first: 3 of 10 found")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (Contradicted(0, 0, None, None), "No answer contradicts a label"),
        (
            Contradicted(0, 0, None, "9 are too many"),
            "No answer contradicts a label; the labels of fit were not checked, because 9 are too many",
        ),
        (
            Contradicted(0, 1, "3.jpg (x)", None),
            "One label is contradicted, but not with high confidence: that of 3.jpg (x)",
        ),
        (
            Contradicted(0, 3, "3.jpg (x)", None),
            "3 labels are contradicted, none with high confidence; begin with that of 3.jpg (x)",
        ),
        (
            Contradicted(1, 5, "3.jpg (x)", None),
            "Check the one label that is contradicted with high confidence, that of 3.jpg (x)",
        ),
        (
            Contradicted(12, 50, "3.jpg (x)", None),
            "Check the 12 labels that are contradicted with high confidence, first that of 3.jpg (x)",
        ),
        (
            Contradicted(0, 0, None, "9 are too many", by_model=False),
            "No labels were checked: those of fit, because 9 are too many; the others, because the model is "
            "right for too few of them",
        ),
        (
            Contradicted(0, 0, None, None, by_model=False),
            "No answer contradicts a label; those of the other splits were not checked, because the model is "
            "right for too few of them",
        ),
    ],
)
def test_which_labels_to_look_at(labels: Contradicted, said: str) -> None:
    """Those that are surely contradicted; who could not look says so."""
    assert labels_to_look_at(labels) == said


FLAT, RISING = Curve((100, 200), (0.90, 0.905)), Curve((100, 200), (0.80, 0.90))


@pytest.mark.parametrize(
    ("ability", "begins"),
    [
        (Ability(1.0, of(995, 1000), "--model cnn", None), "Neither more images nor a bigger model can improve"),
        (Ability(1.0, of(995, 1000), "--model cnn", RISING, "a judge"), "Neither more images nor a bigger model can"),
        (Ability(1.0, of(960, 1000), "--model cnn", RISING, "a judge"), "More images would probably help more than a"),
        (Ability(1.0, of(20, 20), "--model cnn", None), "20 validation images are too few to say"),
        (Ability(1.0, of(20, 20), None, RISING, "a head"), "More images would help: from 100 images 80.0% right"),
        (Ability(1.0, of(20, 20), None, Curve((9, 18), (0.98, 0.995)), "a head"), "Neither more images nor a bigger"),
        (Ability(1.0, of(60), "--backbone lite0", None, backbone="--backbone lite0"), "A backbone (--backbone"),
        (Ability(0.9, of(80), "--model cnn", FLAT, "a head"), "A bigger model (--model cnn) would help: with the same"),
        (Ability(1.0, of(90), "--model cnn", RISING, "a head"), "More images would help: from 100 images 80.0% right"),
        (Ability(1.0, of(90), None, FLAT, "a head"), "The last half of the images brought no clear gain (from 100"),
        (Ability(0.99, of(90), "--model cnn", None), "More images would probably help more than a bigger model: 99.0%"),
        (Ability(0.90, of(90), "--preset best", None), "The model is hardly better on its training images (90.0%"),
        (Ability(None, of(90), None, None), "Whether more images or a bigger model would help was not tried"),
    ],
)
def test_images_or_a_bigger_model(ability: Ability, begins: str) -> None:
    """By a learning curve where there is one; else by what is right on the images that were learned from."""
    assert images_or_model(ability).startswith(begins)
