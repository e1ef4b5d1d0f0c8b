"""Whether the values that a graph gives are answers: finite, and probabilities. Asked of every run, so it is cheap."""

from collections.abc import Callable
from functools import partial

import numpy as np

from vouch.bundle.manifest import Manifest
from vouch.server.batch_request import Rows, Unusable
from vouch.server.session import Outputs

TOLERANCE = 1e-3
"""Of a probability's range, and of the sum of a row."""


def usable_rows(outputs: Outputs, sums: bool) -> np.ndarray:
    """Which rows are answers, looked at one by one: bool, shape (N,).

    Args:
        sums: whether each row of probabilities has to sum to 1, as those of a single-label model do.
    """
    probabilities, logits = outputs
    usable: np.ndarray = np.isfinite(probabilities).all(axis=1) & np.isfinite(logits).all(axis=1)
    with np.errstate(invalid="ignore"):  # of the rows that are not finite
        usable &= (probabilities >= -TOLERANCE).all(axis=1) & (probabilities <= 1 + TOLERANCE).all(axis=1)
        if sums:
            usable &= np.abs(probabilities.sum(axis=1) - 1) <= TOLERANCE
    return usable


def unusable_in(manifest: Manifest) -> Callable[[Rows], Unusable]:
    """What finds the rows of a run that are no answer of this model; None where all are, which is known at once."""
    ones = np.ones(len(manifest.labels), np.float32) if manifest.task == "single_label" else None
    return partial(_unusable, ones)


def _unusable(ones: np.ndarray | None, rows: Rows) -> Unusable:
    outputs = Outputs(*rows)
    if _all_usable(outputs, ones):
        return None
    usable = usable_rows(outputs, sums=ones is not None)
    return None if usable.all() else ~usable


def _all_usable(outputs: Outputs, ones: np.ndarray | None) -> bool:
    """Whether all rows are answers, looked at together: no comparison with NaN holds, and a sum of squares is small
    only where all of its parts are. False also where that is close.
    """
    probabilities, logits = outputs
    in_range = probabilities.min() >= -TOLERANCE and probabilities.max() <= 1 + TOLERANCE
    if not in_range or not np.isfinite(logits).all():
        return False
    if ones is None:
        return True
    off = probabilities.dot(ones)
    off -= 1
    return bool(off.dot(off) <= TOLERANCE**2)
