import numpy as np
from sklearn import datasets

from vouch.sources.digits import load_digits


def test_digits_are_1797_images_from_no_ink_to_full_ink() -> None:
    """All of them, not split, in the range of a PNG file."""
    source = load_digits("digits")

    assert source.name == "digits"
    assert source.classes == tuple("0123456789")
    assert list(source.splits) == ["all"]
    images = source.splits["all"].images[:]
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)


def test_digits_are_those_of_scikit_learn() -> None:
    """Pixels are scaled and rounded, so that scikit-learn's 0 to 16 can be had back; labels are its own."""
    expected = datasets.load_digits()

    examples = load_digits("digits").splits["all"]

    np.testing.assert_array_equal(np.rint(examples.images[:] / 255 * 16), expected.images)
    np.testing.assert_array_equal(examples.labels, expected.target)
