from typing import cast

import numpy as np
import pytest

from vouch.sources.examples import Examples, Source
from vouch.sources.split_names import SplitName
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.small_classes import needed, without_small_classes
from vouch.trainer.splits.split import make_splits

CLASSES = ("a", "b", "c")


def part(*counts: int, first: int = 0) -> Examples:
    """So many images of each class, all of them different."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(first, first + len(labels), dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    return Examples(images, labels)


def source(**splits: Examples) -> Source:
    return Source("pets", CLASSES, cast(dict[SplitName, Examples], splits))


@pytest.mark.parametrize(
    ("splits", "kept", "said"),
    [
        (
            {"all": part(20, 2, 20)},
            ("a", "c"),
            "left out 1 of 3 classes with too few images to be in every split (2 images in all): ",
        ),
        ({"fit": part(20, 20, 1), "validation": part(5, 5, 5, first=50)}, ("a", "b"), ": c (6 images)"),
        ({"fit": part(20, 20, 2), "validation": part(5, 5, 0, first=50)}, ("a", "b"), ": c (2 images)"),
        (
            {"fit": part(9, 9, 1), "tune": part(1, 1, 1, first=50), "validation": part(1, 0, 1, first=70)},
            ("a", "c"),
            ": b (10 images)",
        ),
    ],
)
def test_classes_that_cannot_be_in_every_split_are_left_out(
    splits: dict[str, Examples], kept: tuple[str, ...], said: str
) -> None:
    """Named and counted; the others are split as if these had never been there."""
    chosen, (sentence,) = without_small_classes(source(**splits), makes_tune=True)
    made = make_splits(chosen, 0.1, 0.2, 0, allow_duplicates=False)

    assert chosen.classes == made.classes == kept
    assert said in sentence
    assert all(set(part.labels.tolist()) == {0, 1} for part in made.by_name.values())


@pytest.mark.parametrize("makes_tune", [True, False])
@pytest.mark.parametrize("given", [("all",), ("fit",), ("fit", "tune"), ("fit", "validation")])
def test_no_class_is_left_out_that_could_be_split(given: tuple[str, ...], makes_tune: bool) -> None:
    """What is needed of each class is what splitting needs: with one image fewer it fails."""
    share = 0.1 if makes_tune else None
    least = needed(source(**{name: part(9, 9, 9) for name in given}), makes_tune)

    def of(fewer: int) -> Source:
        counts = [least[cast(SplitName, name)] - (fewer if number == 0 else 0) for number, name in enumerate(given)]
        return source(**{name: part(9, 9, counts[k], first=50 * k) for k, name in enumerate(given)})

    assert without_small_classes(of(0), makes_tune)[1] == ()
    assert make_splits(of(0), share, 0.2, 0, allow_duplicates=False).classes == CLASSES
    with pytest.raises(TrainError):
        make_splits(of(1), share, 0.2, 0, allow_duplicates=False)


def test_equal_images_count_once() -> None:
    """They stay together in one split, so a class of five copies has one image."""
    examples = part(20, 5, 20)
    images = examples.images[:].copy()
    images[20:25] = images[20]

    chosen, _ = without_small_classes(source(all=Examples(images, examples.labels)), makes_tune=True)

    assert chosen.classes == ("a", "c")


def test_where_all_are_large_enough_nothing_is_said() -> None:
    """And the source is the very same."""
    whole = source(all=part(20, 3, 20))

    assert without_small_classes(whole, makes_tune=False) == (whole, ())


def test_labels_of_which_any_number_holds_are_left_out_likewise() -> None:
    """An image that had nothing but such labels goes with them."""
    labels = np.zeros((40, 3), dtype=np.bool_)
    labels[:20, 0] = labels[15:38, 2] = labels[38:, 1] = True

    chosen, (sentence,) = without_small_classes(source(all=Examples(part(40).images, labels)), makes_tune=False)

    assert chosen.classes == ("a", "c")
    assert chosen.splits["all"].labels.shape == (38, 2)
    assert "b (2 images)" in sentence


@pytest.mark.parametrize("counts", [(20, 1, 2), (1, 1, 1)])
def test_one_class_is_no_classifier(counts: tuple[int, ...]) -> None:
    """Where fewer than two are large enough, that is the error."""
    with pytest.raises(TrainError, match=r"(1|none) of the 3 classes of pets has enough different images"):
        without_small_classes(source(all=part(*counts)), makes_tune=True)
