"""Which examples of one label each go to the second of two parts, by chance, so that it has its share of every class.

What belongs together is drawn as a whole, wherever that brings the counts of its classes nearer to what is wanted.
"""

from dataclasses import dataclass

import numpy as np

TRIES = 20
"""Draws of which the one is taken that has the shares best, where what belongs together stands against the shares."""
MAX_ROWS = 100_000
"""That are drawn from, in all tries together."""


def draw(labels: np.ndarray, unit: np.ndarray, share: float, keep: int, random: np.random.Generator) -> np.ndarray:
    """Which rows the second part gets.

    Args:
        labels: integers, shape (N,).
        unit: shape (N,), the same number for rows that stay together.
        share: of each class's rows; at least one.
        keep: units of each class that stay in the first part, also where the share is large.

    Returns:
        bool, shape (N,). A class of more than `keep` units is in both parts, unless other classes stand against it.
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
    """What the second part has so far."""

    number: np.ndarray
    """int64, shape (N,): each row's unit, from 0."""
    held: list[list[tuple[int, int]]]
    """Of each unit: its classes, and how many rows of each."""
    wanted: list[int]
    """Rows of each class."""
    got: list[int]
    left: list[int]
    """Units of each class in the first part."""
    taken: list[bool]
    """Of each unit, whether the second part has it."""
    keep: int

    @classmethod
    def of(cls, labels: np.ndarray, unit: np.ndarray, share: float, keep: int) -> "_Deal":
        """Nothing taken yet; arguments as `draw`."""
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
        """Classes that are missing, and how far the counts of all are from what is wanted, as shares of that."""
        counts = [(got, wanted) for got, wanted in zip(self.got, self.wanted, strict=True) if wanted]
        return sum(not got for got, _ in counts), sum(abs(got - wanted) / wanted for got, wanted in counts)

    def size(self, number: int) -> int:
        """Rows of a unit."""
        return sum(count for _, count in self.held[number])

    def brings_nearer(self, number: int) -> bool:
        """Whether the counts of its classes come nearer to what is wanted with it."""
        lacks = [(self.wanted[label] - self.got[label], count) for label, count in self.held[number]]
        return sum(abs(lack - count) - abs(lack) for lack, count in lacks) < 0

    def can_go(self, number: int) -> bool:
        """Whether enough units of its classes stay in the first part without it."""
        return not self.taken[number] and all(self.left[label] > self.keep for label, _ in self.held[number])

    def take(self, number: int) -> None:
        """Gives it to the second part."""
        self.taken[number] = True
        for label, count in self.held[number]:
            self.got[label] += count
            self.left[label] -= 1
