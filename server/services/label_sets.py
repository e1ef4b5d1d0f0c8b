"""Which labels an answer's label sets have. Knows no message."""

from collections.abc import Callable
from functools import partial
from math import isclose

import numpy as np

from vouch.bundle.caveats import withheld_in_words
from vouch.bundle.label_sets import label_sets
from vouch.bundle.manifest import Manifest
from vouch.bundle.multi_label import decide
from vouch.server.errors import InvalidRequest

SetRule = Callable[[np.ndarray], np.ndarray]
"""From probabilities, floats of shape (N, K), to the members of each image's set, bool of shape (N, K)."""


def set_rule(manifest: Manifest, coverage: float) -> SetRule | None:
    """How the label sets of an answer are made; None where there are none.

    A multi-label model's answer always is a set: each label from its threshold on.

    Args:
        coverage: what the request says; 0: none is asked for.

    Raises:
        InvalidRequest: the model does not promise this coverage, or is a multi-label one, which promises none.
    """
    if manifest.thresholds is not None:
        if coverage != 0:
            raise InvalidRequest(
                f"{manifest.name} answers several labels an image, each from its own threshold on; a coverage is "
                "promised by single-label models only: leave it out"
            )
        return partial(decide, thresholds=manifest.thresholds)
    if coverage == 0:
        return None
    promised = manifest.calibration.coverages if manifest.calibration else ()
    for one in promised:
        if isclose(one.promised, coverage, abs_tol=1e-6):
            return partial(label_sets, threshold=one.thresholds)
    raise InvalidRequest(_not_promised(manifest, coverage))


def _not_promised(manifest: Manifest, coverage: float) -> str:
    """What is promised, and why not this, where that is known."""
    promised = manifest.calibration.coverages if manifest.calibration else ()
    withheld = manifest.calibration.withheld if manifest.calibration else ()
    offer = ", ".join(f"{one.promised:g}" for one in promised)
    if not offer:
        offer = "none" if withheld else "none: it was published without label sets"
    reasons = [withheld_in_words(one) for one in withheld if isclose(one.coverage, coverage, abs_tol=1e-6)]
    return f"{manifest.name} promises no coverage of {coverage:g}; it promises {'; '.join([offer, *reasons])}"


def ranked(probabilities: np.ndarray, members: np.ndarray) -> tuple[list[int], list[int]]:
    """Label sets as columns: how many labels each has, and the labels of all, in each the most probable first.

    Args:
        probabilities: floats, shape (N, K).
        members: bool, shape (N, K).
    """
    rows, classes = np.nonzero(members)
    order = np.lexsort((-probabilities[rows, classes], rows))  # stable: of equals the first stays the first
    return np.count_nonzero(members, axis=1).tolist(), classes[order].tolist()
