"""Union-find with path halving: joins numbers pairwise, and finds which are connected."""

import numpy as np


class Forest:
    """Numbers from 0, each its own set at first. Each points to a smaller one of its set, or to itself."""

    def __init__(self, count: int) -> None:
        self._to = list(range(count))

    def leader(self, number: int) -> int:
        """The smallest number of its set."""
        to = self._to
        while to[number] != number:
            to[number] = to[to[number]]
            number = to[number]
        return number

    def join(self, first: int, second: int) -> None:
        """Merges the sets of these two."""
        one, other = self.leader(first), self.leader(second)
        self._to[max(one, other)] = min(one, other)

    def leaders(self) -> np.ndarray:
        """The leaders of all numbers, int64."""
        return np.array([self.leader(number) for number in range(len(self._to))], dtype=np.int64)
