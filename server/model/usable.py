"""Whether the values that a graph gives are answers: finite, and probabilities. Asked of every run, so it is cheap."""

from collections.abc import Callable
from functools import partial

import numpy as np

from vouch.bundle.manifest import Manifest
from vouch.server.model.request import Rows, Unusable
from vouch.server.model.session import Outputs

LARGEST = float(np.finfo(np.float32).max)
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
    return partial(_unusable, manifest.task == "single_label")


def _unusable(sums: bool, rows: Rows) -> Unusable:
    outputs = Outputs(*rows)
    if _all_usable(outputs, sums):
        return None
    usable = usable_rows(outputs, sums)
    return None if usable.all() else ~usable


def _all_usable(outputs: Outputs, sums: bool) -> bool:
    """Whether all rows are answers, by the extremes of all of them together."""
    probabilities, logits = outputs
    if not (_within(probabilities, -TOLERANCE, 1 + TOLERANCE) and _within(logits, -LARGEST, LARGEST)):
        return False
    # Thrice as fast as a sum of many short rows, and without BLAS, whose threads would take the session's cores.
    return not sums or _within(np.einsum("nk->n", probabilities), 1 - TOLERANCE, 1 + TOLERANCE)


def _within(values: np.ndarray, low: float, high: float) -> bool:
    """Where one is NaN, it is what argmin and argmax find; they take a quarter of the time of min and max."""
    smallest: float = values.item(values.argmin())
    largest: float = values.item(values.argmax())
    return low <= smallest and largest <= high
