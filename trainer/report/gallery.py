"""Which validation images are shown for which cell of the confusion matrix."""

from collections.abc import Sequence

import numpy as np

PER_CELL = 20


def choose_images(
    labels: np.ndarray, probabilities: np.ndarray, cells: Sequence[tuple[int, int]], most: int
) -> dict[tuple[int, int], list[int]]:
    """Rows of the images for each cell: the most confident mistakes, and the least confident right answers.

    If there are too many in all, every cell loses its last ones first.

    Args:
        labels: integers, shape (N,).
        probabilities: floats, shape (N, K).
        cells: (true class, answer).
        most: images over all cells.
    """
    classes = probabilities.shape[1]
    answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    codes = labels.astype(np.int64) * classes + answers
    order = np.lexsort((np.where(answers == labels, sure, -sure), codes))
    starts = np.searchsorted(codes[order], [truth * classes + answer for truth, answer in cells])
    ends = np.searchsorted(codes[order], [truth * classes + answer for truth, answer in cells], side="right")
    chosen: dict[tuple[int, int], list[int]] = {cell: [] for cell in cells}
    left = most
    for place in range(PER_CELL):
        for cell, start, end in zip(cells, starts.tolist(), ends.tolist(), strict=True):
            if left and start + place < end:
                chosen[cell].append(int(order[start + place]))
                left -= 1
    return chosen
