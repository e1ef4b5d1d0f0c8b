import numpy as np
import pytest

from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples, Source


def numbered(labels: list[int]) -> Examples:
    """Images of one pixel that holds the image's number."""
    return Examples(np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1), np.array(labels))


def test_rows_keep_their_labels() -> None:
    """Choosing rows chooses images and labels alike."""
    chosen = numbered([5, 6, 7])[np.array([2, 0])]

    assert len(chosen) == 2
    assert chosen.images[:].ravel().tolist() == [2, 0]
    assert chosen.labels.tolist() == [7, 5]


def test_images_and_labels_must_be_as_many() -> None:
    """Examples that do not pair up cannot be made."""
    with pytest.raises(SourceError, match="3 images but 2 labels"):
        Examples(np.zeros((3, 1, 1), dtype=np.uint8), np.zeros(2, dtype=np.int64))


def test_classes_can_be_chosen_and_ordered() -> None:
    """Images of other classes are left out of every split, and labels count in the order given."""
    source = Source("data", ("a", "b", "c"), {"fit": numbered([0, 1, 2, 2]), "validation": numbered([1, 0])})

    chosen = source.with_classes(("c", "a"))

    assert chosen.classes == ("c", "a")
    assert chosen.splits["fit"].labels.tolist() == [1, 0, 0]
    assert chosen.splits["fit"].images[:].ravel().tolist() == [0, 2, 3]
    assert chosen.splits["validation"].labels.tolist() == [1]
    assert chosen.splits["validation"].images[:].ravel().tolist() == [1]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("a", "x"), "data has no class x; it has a, b"),
        (("A", "b"), "no class A; it has a, b; did you mean a[?]"),
        (("a", "a"), "given twice in a,a"),
    ],
)
def test_classes_that_cannot_be_chosen_are_named(wanted: tuple[str, ...], message: str) -> None:
    """Unknown and repeated names are refused with those there are."""
    source = Source("data", ("a", "b"), {"all": numbered([0, 1])})

    with pytest.raises(SourceError, match=message):
        source.with_classes(wanted)
