"""Numbers that are to be pixels of 8 bits: whether they are 0 to 255 or 0.0 to 1.0, which is taken where it is exact.

What is between two values of 8 bits is refused.
"""

from dataclasses import dataclass

import numpy as np

from vouch.sources.errors import SourceError

TOLERANCE = 0.13
"""How far from a whole number a value times 255 may be: what three decimals, or 16 bits, leave of it."""


@dataclass
class Values:
    """What numbers were seen."""

    dtype: np.dtype
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    """Whether all are whole numbers."""
    parts: bool = True
    """Whether all are so many 255ths."""

    def add(self, block: np.ndarray) -> None:
        """Looks at some more of them."""
        if not block.size:
            return
        low, high = float(block.min()), float(block.max())  # not a number where one is not
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        if self.dtype.kind == "f" and np.isfinite(low + high):
            self.whole = self.whole and bool((block == np.rint(block)).all())
            steps = block.astype(np.float64) * 255 if high <= 1 else None
            self.parts = self.parts and steps is not None and bool((np.abs(steps - np.rint(steps)) <= TOLERANCE).all())

    def factor(self, where: str) -> int:
        """What they are multiplied with, 1 or 255.

        Raises:
            SourceError: they are neither 0 to 255 nor 0.0 to 1.0.
        """
        if self.dtype.kind == "b":
            return 255
        if self.low >= 0 and self.high <= 1 and self.dtype.kind == "f" and self.parts:
            return 255
        if self.low >= 0 and self.high <= 255 and self.whole:
            return 1
        between = "" if self.whole else ", some of them between two whole numbers"
        raise SourceError(
            f"the pixels of {where} are {self.dtype} from {self.low:g} to {self.high:g}{between}; expected whole "
            "numbers from 0 to 255, or 0.0 to 1.0 in steps of 1/255: scale them to 0 to 255, round them and save them "
            "as uint8"
        )

    def in_words(self, factor: int) -> list[str]:
        """What was made of them, where they were not pixels of 8 bits."""
        if self.dtype == np.uint8:
            return []
        if factor == 1:
            return [f"pixels: {self.dtype}, {self.low:g} to {self.high:g}, taken as 8 bits"]
        return [f"pixels: {self.dtype}, {self.low:g} to {self.high:g}, taken as 0 to 255"]


def as_bytes(block: np.ndarray, factor: int) -> np.ndarray:
    """The pixels, uint8.

    Args:
        factor: as `Values.factor` gives it for all of them.
    """
    if block.dtype == np.uint8:
        return block
    return (
        np.rint(block.astype(np.float64) * factor).astype(np.uint8)
        if block.dtype.kind == "f"
        else (block.astype(np.uint8) * np.uint8(factor))
    )
