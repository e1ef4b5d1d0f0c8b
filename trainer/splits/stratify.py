"""Which examples of several labels go to the second of two parts, so that both have their share of every label.

Iterative stratification: K. Sechidis, G. Tsoumakas, I. Vlahavas, On the Stratification of Multi-Label Data (ECML PKDD
2011). The rarest label is dealt out first, because later there would be nothing left to choose from.
"""

import numpy as np


def stratify(labels: np.ndarray, share: float, keep: int, random: np.random.Generator) -> np.ndarray:
    """Which rows the second part gets.

    Args:
        labels: bool, shape (N, K).
        share: of the rows, and of each label's, that the second part is to have; of a label at least one.
        keep: rows of a label that stay in the first part, where it has more, also where the share is large.

    Returns:
        bool, shape (N,). A label with more than `keep` rows is in both parts, unless other labels stand against it.
    """
    columns = np.ascontiguousarray(labels.T)
    counts = columns.sum(axis=1)
    second = np.clip(share * counts, np.minimum(1, counts), np.maximum(0, counts - keep))
    wanted = np.stack([counts - second, second])  # (2, K): how many each part still wants of each label
    wanted_rows = np.array([1 - share, share]) * len(labels)
    place = np.full(len(labels), -1, dtype=np.int8)
    remaining = counts.copy()
    while (remaining > 0).any():
        label = int(np.where(remaining > 0, remaining, len(labels) + 1).argmin())
        for row in random.permutation(np.flatnonzero(columns[label] & (place < 0))):
            place[row] = part = _hungriest(wanted[:, label], wanted_rows)
            wanted[part, labels[row]] -= 1
            wanted_rows[part] -= 1
            remaining[labels[row]] -= 1
    unlabelled = random.permutation(np.flatnonzero(place < 0))
    count = int(np.clip(round(wanted_rows[1]), 0, len(unlabelled)))
    place[unlabelled] = 0
    place[unlabelled[:count]] = 1
    in_second: np.ndarray = place == 1
    _mend(labels, in_second, keep)
    return in_second


def _hungriest(wanted: np.ndarray, wanted_rows: np.ndarray) -> int:
    """The part that wants most of this label; of equals, the one that wants most rows."""
    if wanted[0] != wanted[1]:
        return int(wanted[1] > wanted[0])
    return int(wanted_rows[1] > wanted_rows[0])


def _mend(labels: np.ndarray, in_second: np.ndarray, keep: int) -> None:
    """Moves single rows, so that no label that could be in both parts is missing in one of them."""
    for part, least, left in ((True, 1, keep), (False, keep, 1)):
        short = (labels.sum(axis=0) > keep) & (labels[in_second == part].sum(axis=0) < least)
        for label in np.flatnonzero(short):
            while labels[in_second == part, label].sum() < least:
                spare = labels[in_second != part].sum(axis=0) > left  # labels of which the other part can give one
                rows = np.flatnonzero((in_second != part) & labels[:, label])
                movable = rows[(~labels[rows] | spare).all(axis=1)]
                if len(movable) == 0:
                    break
                in_second[movable[0]] = part
