"""Computes an answer's label sets. Knows no message."""

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
"""Probabilities, floats of shape (N, K) -> which labels are in each image's set, bool of shape (N, K)."""


def set_rule(manifest: Manifest, coverage: float) -> SetRule | None:
    """How the label sets of an answer are made; None if there are none.

    A multi-label model's answer is always a set: the labels whose probability reaches their threshold.

    Args:
        coverage: the requested coverage; 0: none is requested.

    Raises:
        InvalidRequest: the model does not promise this coverage, or it is a multi-label model, which promises none.
    """
    if manifest.thresholds is not None:
        if coverage != 0:
            raise InvalidRequest(
                f"{manifest.name} is a multi-label model, which promises no coverage, and {coverage:g} was requested: "
                "leave out coverage"
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
    """What is promised, and why this is not, if known."""
    promised = manifest.calibration.coverages if manifest.calibration else ()
    withheld = manifest.calibration.withheld if manifest.calibration else ()
    offer = ", ".join(f"{one.promised:g}" for one in promised)
    if not offer:
        offer = "none" if withheld else "none: it was published without label sets"
    reasons = [withheld_in_words(one) for one in withheld if isclose(one.coverage, coverage, abs_tol=1e-6)]
    return f"{manifest.name} promises no coverage of {coverage:g}; it promises {'; '.join([offer, *reasons])}"


def ranked(probabilities: np.ndarray, members: np.ndarray) -> tuple[list[int], list[int]]:
    """Label sets as columns: the number of labels of each, and the labels of all, the most probable of a set first.

    Args:
        probabilities: floats, shape (N, K).
        members: bool, shape (N, K).
    """
    rows, classes = np.nonzero(members)
    order = np.lexsort((-probabilities[rows, classes], rows))  # stable: equal ones stay in their order
    return np.count_nonzero(members, axis=1).tolist(), classes[order].tolist()
