"""Draws multi-label examples for the second of two parts, so that both have their share of every label.

Iterative stratification: K. Sechidis, G. Tsoumakas, I. Vlahavas, On the Stratification of Multi-Label Data (ECML PKDD
2011). The rarest label is assigned first, because later there would be nothing left to choose from. Rows that belong
together (a unit) are assigned as a whole.
"""

from itertools import pairwise

import numpy as np


def stratify(labels: np.ndarray, unit: np.ndarray, share: float, keep: int, random: np.random.Generator) -> np.ndarray:
    """Which rows the second part gets.

    Args:
        labels: bool, shape (N, K).
        unit: shape (N,), the same number for rows that stay together.
        share: of the rows, and of each label's rows, for the second part; at least one per label.
        keep: units of a label that stay in the first part, even if the share is large.

    Returns:
        bool, shape (N,). A label of more than `keep` units is in both parts, unless other labels prevent it.
    """
    number = np.unique(unit, return_inverse=True)[1].ravel()
    members = _members(number)
    columns = np.ascontiguousarray(labels.T)
    counts = columns.sum(axis=1)
    second = np.clip(share * counts, np.minimum(1, counts), np.maximum(0, counts - keep))
    wanted = np.stack([counts - second, second])  # (2, K): how many of each label each part still needs
    wanted_rows = np.array([1 - share, share]) * len(labels)
    place = np.full(len(labels), -1, dtype=np.int8)
    remaining = counts.copy()
    while (remaining > 0).any():
        label = int(np.where(remaining > 0, remaining, len(labels) + 1).argmin())
        for drawn in random.permutation(np.flatnonzero(columns[label] & (place < 0))):
            if place[drawn] >= 0:  # with another row of its unit
                continue
            part = _hungriest(wanted[:, label], wanted_rows)
            for row in members[number[drawn]]:
                place[row] = part
                wanted[part, labels[row]] -= 1
                wanted_rows[part] -= 1
                remaining[labels[row]] -= 1
    unlabelled = random.permutation(np.flatnonzero(place < 0))
    count = int(np.clip(round(wanted_rows[1]), 0, len(unlabelled)))
    for drawn in unlabelled:
        if place[drawn] < 0:
            rows = members[number[drawn]]
            place[rows] = part = int(len(rows) <= 2 * count)
            count -= part * len(rows)
    first = np.array([rows[0] for rows in members], dtype=np.int64)
    has = np.stack([labels[rows].any(axis=0) for rows in members]) if len(members) < len(labels) else labels[first]
    chosen: np.ndarray = place[first] == 1
    _mend(has, chosen, np.array([len(rows) for rows in members]), keep)
    return np.asarray(chosen[number])


def _members(number: np.ndarray) -> list[np.ndarray]:
    """The rows of each unit, from unit 0, ascending."""
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number)).tolist()
    return [order[start:end] for start, end in pairwise([0, *ends])]


def _hungriest(wanted: np.ndarray, wanted_rows: np.ndarray) -> int:
    """The part that needs most of this label; if equal, the one that needs most rows."""
    if wanted[0] != wanted[1]:
        return int(wanted[1] > wanted[0])
    return int(wanted_rows[1] > wanted_rows[0])


def _mend(labels: np.ndarray, in_second: np.ndarray, sizes: np.ndarray, keep: int) -> None:
    """Moves single units, small ones first, so that no label that could be in both parts is missing in one of them.

    Args:
        labels: bool, shape (U, K), which labels each unit has.
        in_second: bool, shape (U,); changed in place.
        sizes: number of rows of each unit.
    """
    for part, least, left in ((True, 1, keep), (False, keep, 1)):
        short = (labels.sum(axis=0) > keep) & (labels[in_second == part].sum(axis=0) < least)
        for label in np.flatnonzero(short):
            while labels[in_second == part, label].sum() < least:
                spare = labels[in_second != part].sum(axis=0) > left  # labels of which the other part can spare one
                units = np.flatnonzero((in_second != part) & labels[:, label])
                movable = units[(~labels[units] | spare).all(axis=1)]
                if len(movable) == 0:
                    break
                in_second[movable[sizes[movable].argmin()]] = part
