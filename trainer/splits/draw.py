"""Draws single-label examples for the second of two parts, at random, so that it has its share of every class.

Rows that belong together (a unit) are drawn whole if that brings the counts of their classes nearer to the target.
"""

from dataclasses import dataclass

import numpy as np

TRIES = 20
"""If units prevent the exact shares, this many draws are made, and the one nearest to the shares is used."""
MAX_ROWS = 100_000
"""Rows that are drawn from, in all tries together."""


def draw(labels: np.ndarray, unit: np.ndarray, share: float, keep: int, random: np.random.Generator) -> np.ndarray:
    """Which rows the second part gets.

    Args:
        labels: integers, shape (N,).
        unit: shape (N,), the same number for rows that stay together.
        share: of each class's rows; at least one.
        keep: units of each class that stay in the first part, even if the share is large.

    Returns:
        bool, shape (N,). A class of more than `keep` units is in both parts, unless other classes prevent it.
    """
    best = _drawn(labels, unit, share, keep, random)
    for _ in range(min(TRIES, MAX_ROWS // max(1, len(labels))) - 1):
        if not any(best.off()):
            break
        other = _drawn(labels, unit, share, keep, random)
        best = min(best, other, key=_Deal.off)
    return np.asarray(np.array(best.taken)[best.number], dtype=np.bool_)


def _drawn(labels: np.ndarray, unit: np.ndarray, share: float, keep: int, random: np.random.Generator) -> "_Deal":
    deal = _Deal.of(labels, unit, share, keep)
    by_label = np.argsort(labels, kind="stable")
    ends = np.flatnonzero(np.diff(labels[by_label])) + 1
    turns = [
        (int(labels[rows[0]]), deal.number[random.permutation(rows)].tolist()) for rows in np.split(by_label, ends)
    ]
    for label, numbers in turns:
        for number in numbers:
            if deal.got[label] >= deal.wanted[label]:
                break
            if deal.can_go(number) and deal.brings_nearer(number):
                deal.take(number)
    for label, numbers in turns:
        while 2 * deal.got[label] < deal.wanted[label] and (able := [one for one in numbers if deal.can_go(one)]):
            deal.take(min(able, key=deal.size))
    return deal


@dataclass(eq=False)
class _Deal:
    """The second part so far."""

    number: np.ndarray
    """int64, shape (N,): each row's unit, from 0."""
    held: list[list[tuple[int, int]]]
    """For each unit: its classes, with the number of rows of each."""
    wanted: list[int]
    """Target number of rows of each class."""
    got: list[int]
    left: list[int]
    """Units of each class in the first part."""
    taken: list[bool]
    """For each unit, whether the second part has it."""
    keep: int

    @classmethod
    def of(cls, labels: np.ndarray, unit: np.ndarray, share: float, keep: int) -> "_Deal":
        """A deal with nothing taken yet; arguments as `draw`."""
        number = np.unique(unit, return_inverse=True)[1].ravel()
        classes = int(labels.max(initial=-1)) + 1
        held: list[list[tuple[int, int]]] = [[] for _ in range(int(number.max(initial=-1)) + 1)]
        pairs, counts = np.unique(number * classes + labels, return_counts=True)
        left = [0] * classes
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            held[pair // classes].append((pair % classes, count))
            left[pair % classes] += 1
        rows = np.bincount(labels, minlength=classes).tolist()
        wanted = [
            max(0, min(max(1, round(share * count)), count - keep)) if units > keep else 0
            for count, units in zip(rows, left, strict=True)
        ]
        return cls(number, held, wanted, [0] * classes, left, [False] * len(held), keep)

    def off(self) -> tuple[int, float]:
        """Number of missing classes, and the sum of the relative differences of all counts from their targets."""
        counts = [(got, wanted) for got, wanted in zip(self.got, self.wanted, strict=True) if wanted]
        return sum(not got for got, _ in counts), sum(abs(got - wanted) / wanted for got, wanted in counts)

    def size(self, number: int) -> int:
        """Number of rows of a unit."""
        return sum(count for _, count in self.held[number])

    def brings_nearer(self, number: int) -> bool:
        """Whether taking the unit brings the counts of its classes nearer to their targets."""
        lacks = [(self.wanted[label] - self.got[label], count) for label, count in self.held[number]]
        return sum(abs(lack - count) - abs(lack) for lack, count in lacks) < 0

    def can_go(self, number: int) -> bool:
        """Whether enough units of its classes would stay in the first part."""
        return not self.taken[number] and all(self.left[label] > self.keep for label, _ in self.held[number])

    def take(self, number: int) -> None:
        """Moves a unit to the second part."""
        self.taken[number] = True
        for label, count in self.held[number]:
            self.got[label] += count
            self.left[label] -= 1
