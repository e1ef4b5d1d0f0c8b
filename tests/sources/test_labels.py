import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouch.sources.errors import SourceError
from vouch.sources.labels import make_source, ordered_classes
from vouch.sources.split_names import SplitName


def images(count: int, *shape: int) -> np.ndarray:
    return np.zeros((count, *(shape or (2, 2))), dtype=np.uint8)


def test_classes_of_all_splits_together_are_numbered_alike() -> None:
    """A label means the same class in every split, also where a split lacks a class."""
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {
        "fit": (images(2), np.array(["cat", "ant"])),
        "validation": (images(2), np.array(["dog", "cat"])),
    }

    source = make_source("pets", parts)

    assert source.classes == ("ant", "cat", "dog")
    assert source.splits["fit"].labels.tolist() == [1, 0]
    assert source.splits["validation"].labels.tolist() == [2, 1]
    assert source.splits["fit"].labels.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["10", "9", "2"], ("2", "9", "10")),
        (["class10", "class2"], ("class2", "class10")),
        (["b", "a", "é", "Z"], ("Z", "a", "b", "é")),
        (["1", "01"], ("01", "1")),
    ],
)
def test_numbers_in_class_names_count_by_value(labels: list[str], ordered: tuple[str, ...]) -> None:
    """2 comes before 10, alone and inside a name."""
    assert ordered_classes("data", labels) == ordered


def as_read(label: str) -> str:
    """What two names that read the same have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).casefold())


@given(st.lists(st.text(st.characters(categories=("L", "N")), min_size=1), min_size=2, unique_by=as_read))
def test_the_order_of_classes_does_not_depend_on_the_order_of_labels(labels: list[str]) -> None:
    """The same labels in any order and number give the same classes, each once."""
    assert ordered_classes("data", labels) == ordered_classes("data", [*reversed(labels), *labels])
    assert set(ordered_classes("data", labels)) == set(labels)


@pytest.mark.parametrize("label", ["", "  ", "a\0b", "line\nbreak", "\udcff"])
def test_a_label_that_cannot_be_written_is_refused(label: str) -> None:
    """A class name is printable text, because manifests, reports and terminals show it."""
    with pytest.raises(SourceError, match="printable"):
        ordered_classes("data", [label, "other"])


def test_one_class_is_a_source() -> None:
    """Whether it is enough is a question of what is done with it."""
    assert make_source("data", {"all": (images(2), np.array([7, 7]))}).classes == ("7",)


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["10", "2", "1"], "1 2 10"),
        (["1.5", "10", "-1", "2", "-10", "+3"], "-10 -1 1.5 2 +3 10"),
        (["a10", "a2", "b"], "a2 a10 b"),
        (["x", "10", "9", "-1"], "-1 9 10 x"),
    ],
)
def test_labels_are_in_the_order_in_which_people_count(labels: list[str], ordered: str) -> None:
    """Numbers by their value, below zero and with a point too."""
    assert ordered_classes("data", labels) == tuple(ordered.split())


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("Cat", "cat", "a class 'Cat' and a class 'cat', which differ only in case"),
        ("cafe\u0301", "caf\xe9", r"'cafe\\u0301' and a class 'caf\\xe9', which differ only in Unicode composition"),
        ("CAF\xc9", "cafe\u0301", "which differ only in case"),
        ("big  cat", "big cat", "which differ only in blanks"),
    ],
)
def test_names_that_read_the_same_are_named(first: str, second: str, message: str) -> None:
    """One class in two spellings is an error that shows both, wherever labels come from."""
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {
        "fit": (images(2), np.array([first, "dog"])),
        "validation": (images(2), np.array([second, "dog"])),
    }

    with pytest.raises(SourceError, match=message):
        make_source("data", parts)


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (np.zeros((2, 2, 2)), np.array([0, 1]), "float64 of shape .*expected uint8"),
        (images(2)[0], np.array([0, 1]), r"shape \(2, 2\)"),
        (images(2, 2, 2, 5), np.array([0, 1]), "up to 4 channels"),
        (images(2, 2, 2, 0), np.array([0, 1]), "up to 4 channels"),
        (images(0), np.array([], dtype=np.int64), "no examples"),
        (images(2, 0, 2), np.array([0, 1]), "no examples"),
        (images(3), np.array([0, 1]), "3 images but 2 labels"),
        (images(2), np.array([0.0, 1.0]), "labels of data are float64"),
        (images(2), np.array([True, False]), "labels of data are bool"),
        (images(2), np.array([[0], [1]]), r"shape \(2, 1\)"),
        (images(2), np.array([-1, 1]), "label -1; expected 0 or more"),
    ],
)
def test_arrays_that_are_not_images_with_labels_are_refused(
    pixels: np.ndarray, labels: np.ndarray, message: str
) -> None:
    """What was expected and what came is said for every wrong type, shape, count and value."""
    with pytest.raises(SourceError, match=message):
        make_source("data", {"all": (pixels, labels)})


def test_splits_of_different_shapes_are_refused() -> None:
    """Fit and validation images have one shape, because one model takes both."""
    parts = {"fit": (images(2, 8, 8), np.array([0, 1])), "validation": (images(2, 28, 28), np.array([0, 1]))}

    with pytest.raises(SourceError, match="8 x 8 in fit, 28 x 28 in validation"):
        make_source("data", parts)  # type: ignore[arg-type]  # mypy widens the keys to str


def test_columns_of_labels_are_classes_by_number() -> None:
    """bool of shape (N, K) is K labels, of which an image has any number."""
    labels = np.array([[True, True], [False, False]])

    source = make_source("data", {"all": (images(2), labels)})

    assert (source.classes, source.task) == (("0", "1"), "multi_label")
    np.testing.assert_array_equal(source.splits["all"].labels, labels, strict=True)


@pytest.mark.parametrize("other", [np.array([0, 1]), np.ones((2, 3), np.bool_)])
def test_labels_of_two_forms_are_refused(other: np.ndarray) -> None:
    """One label an image in one split and columns in another, or columns of two widths, are no one task."""
    parts: dict[SplitName, tuple[np.ndarray, np.ndarray]] = {
        "fit": (images(2), np.ones((2, 2), np.bool_)),
        "validation": (images(2), other),
    }

    with pytest.raises(
        SourceError, match=r"differ in form .*bool \(2, 2\) in fit, .* in validation; expected one form"
    ):
        make_source("data", parts)
