"""What the headers of image files tell before a pixel is decoded: of a few files at first, of all at the end.

Reads nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vouch.bundle.pixels import Content


@dataclass(frozen=True)
class Headers:
    """How large the pictures are as they are upright, and whether any has colour."""

    sizes: Mapping[tuple[int, int], int]
    """Height and width -> how many files have them; at least one."""
    colour: bool
    """Whether any of them is in colour."""

    @classmethod
    def of(cls, contents: Mapping[Content, int]) -> "Headers":
        """
        Args:
            contents: what files hold -> how many hold it; at least one.
        """
        sizes: dict[tuple[int, int], int] = {}
        for content, count in contents.items():
            sizes[content.height, content.width] = sizes.get((content.height, content.width), 0) + count
        return cls(sizes, any(content.colour for content in contents))

    @property
    def one_size(self) -> bool:
        """Whether all have the same."""
        return len(self.sizes) == 1

    @property
    def median(self) -> tuple[int, int]:
        """The middle height and the middle width: a stray large file says nothing of the others."""
        return self._middle(0), self._middle(1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a middle one as an array: (H, W), or (H, W, 3) where any is in colour."""
        return (*self.median, 3) if self.colour else self.median

    def surprised_by(self, content: Content) -> bool:
        """Whether this file is the first with another size or the first in colour, which may decide otherwise."""
        other_size = self.one_size and (content.height, content.width) not in self.sizes
        return other_size or (content.colour and not self.colour)

    def plus(self, content: Content) -> "Headers":
        """With one file more."""
        size = (content.height, content.width)
        return Headers({**self.sizes, size: self.sizes.get(size, 0) + 1}, self.colour or content.colour)

    def kept_by_crop(self, size: tuple[int, int]) -> float:
        """The share of a middle file that is in the largest part with these proportions, 0 to 1: of half of the files
        no more is left.

        Args:
            size: height and width.
        """
        height, width = size
        kept = {(h, w): min(h * width, w * height) / max(h * width, w * height) for h, w in self.sizes}
        total, passed = sum(self.sizes.values()), 0
        for one in sorted(kept, key=lambda one: kept[one]):
            passed += self.sizes[one]
            if 2 * passed >= total:
                return kept[one]
        raise AssertionError("no file was counted")

    def _middle(self, axis: int) -> int:
        total = sum(self.sizes.values())
        passed = 0
        for size, count in sorted(self.sizes.items(), key=lambda one: one[0][axis]):
            passed += count
            if 2 * passed >= total:
                return size[axis]
        raise AssertionError("no file was counted")
