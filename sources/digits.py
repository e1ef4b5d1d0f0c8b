"""1,797 handwritten digits of 8 x 8 pixels, included with Vouch: nothing to download.

`digits.npz` holds E. Alpaydin and C. Kaynak's "Optical Recognition of Handwritten Digits" (1998), the test part, from
the UCI Machine Learning Repository, under CC BY 4.0; values of 0 to 16 are scaled to 0 to 255. scikit-learn's
`load_digits` gives the same digits.
"""

from pathlib import Path

import numpy as np

from vouch.sources.examples import Source
from vouch.sources.labels import make_source

FILE = Path(__file__).with_name("digits.npz")


def load_digits(name: str) -> Source:
    """The digits under this name: uint8 of shape (1797, 8, 8), full ink 255; classes "0" to "9"; not split."""
    with np.load(FILE) as arrays:
        return make_source(name, {"all": (arrays["images"], arrays["labels"].astype(np.int64))})
