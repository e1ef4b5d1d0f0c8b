"""scikit-learn's 1,797 real handwritten digits of 8 x 8 pixels: nothing to download."""

import numpy as np

from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.labels import make_source

FULL_INK = 16  # scikit-learn's pixels count from 0 to 16


def load_digits(name: str) -> Source:
    """The digits under this name: uint8 of shape (1797, 8, 8), full ink 255; classes "0" to "9"; not split.

    Raises:
        SourceError: scikit-learn is not installed.
    """
    try:
        from sklearn import datasets  # noqa: PLC0415  # takes a second, and only digits needs it
    except ImportError as err:
        raise SourceError(
            f"{name} comes with scikit-learn, which is missing ({err}): pip install 'vouch-onnx[trainer]'"
        ) from err
    digits = datasets.load_digits()
    images = np.rint(digits.images * 255 / FULL_INK).astype(np.uint8)
    return make_source(name, {"all": (images, digits.target)})
