"""Numbers as pixels of 8 bits: whether they are 0 to 255, or 0.0 to 1.0, which is accepted if it is exact.

Values between two values of 8 bits are refused.
"""

from dataclasses import dataclass

import numpy as np

from vouch.sources.errors import SourceError

TOLERANCE = 0.13
"""The largest distance of a value times 255 from a whole number: the rounding of three decimals, or of 16 bits."""


@dataclass
class Values:
    """Facts about the numbers seen so far."""

    dtype: np.dtype
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    """Whether all are whole numbers so far."""
    parts: bool = True
    """Whether all are multiples of 1/255."""

    def add(self, block: np.ndarray) -> None:
        """Adds some numbers."""
        if not block.size:
            return
        low, high = float(block.min()), float(block.max())  # NaN if one is NaN
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        if self.dtype.kind == "f" and np.isfinite(low + high):
            self.whole = self.whole and bool((block == np.rint(block)).all())
            steps = block.astype(np.float64) * 255 if high <= 1 else None
            self.parts = self.parts and steps is not None and bool((np.abs(steps - np.rint(steps)) <= TOLERANCE).all())

    def factor(self, where: str) -> int:
        """The factor to multiply them by, 1 or 255.

        Raises:
            SourceError: they are neither 0 to 255 nor 0.0 to 1.0.
        """
        if self.dtype.kind == "b":
            return 255
        if self.low >= 0 and self.high <= 1 and self.dtype.kind == "f" and self.parts:
            return 255
        if self.low >= 0 and self.high <= 255 and self.whole:
            return 1
        between = "" if self.whole else ", some between two whole numbers"
        raise SourceError(
            f"the pixels of {where} are {self.dtype} from {self.low:g} to {self.high:g}{between}; expected whole "
            "numbers from 0 to 255, or 0.0 to 1.0 in steps of 1/255: scale them to 0 to 255, round them and save them "
            "as uint8"
        )

    def in_words(self, factor: int) -> list[str]:
        """A note on the conversion, if they were not pixels of 8 bits."""
        if self.dtype == np.uint8:
            return []
        if factor == 1:
            return [f"pixels: {self.dtype}, {self.low:g} to {self.high:g}, converted to 8 bits"]
        return [f"pixels: {self.dtype}, {self.low:g} to {self.high:g}, converted to 0 to 255"]


def as_bytes(block: np.ndarray, factor: int) -> np.ndarray:
    """The pixels, uint8.

    Args:
        factor: from `Values.factor` of all of them.
    """
    if block.dtype == np.uint8:
        return block
    return (
        np.rint(block.astype(np.float64) * factor).astype(np.uint8)
        if block.dtype.kind == "f"
        else (block.astype(np.uint8) * np.uint8(factor))
    )
