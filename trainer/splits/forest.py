"""Numbers that are joined two by two, and which of them are together then (union-find, with paths halved)."""

import numpy as np


class Forest:
    """Numbers from 0, each by itself at first. Each points to a smaller one that it is together with, or to itself."""

    def __init__(self, count: int) -> None:
        self._to = list(range(count))

    def leader(self, number: int) -> int:
        """The smallest of those that it is together with."""
        to = self._to
        while to[number] != number:
            to[number] = to[to[number]]
            number = to[number]
        return number

    def join(self, first: int, second: int) -> None:
        """Puts these two, and all that each is together with, together."""
        one, other = self.leader(first), self.leader(second)
        self._to[max(one, other)] = min(one, other)

    def leaders(self) -> np.ndarray:
        """Of all numbers, int64."""
        return np.array([self.leader(number) for number in range(len(self._to))], dtype=np.int64)
