"""What the headers of image files contain, before a pixel is decoded: at first of a few files, at the end of all.

Reads no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vouch.bundle.pixels import Content


@dataclass(frozen=True)
class Headers:
    """The sizes of the upright pictures, and whether any has colour."""

    sizes: Mapping[tuple[int, int], int]
    """(Height, width) -> the number of files; at least one entry."""
    colour: bool
    """Whether any file is in colour."""

    @classmethod
    def of(cls, contents: Mapping[Content, int]) -> "Headers":
        """
        Args:
            contents: header -> the number of files; at least one entry.
        """
        sizes: dict[tuple[int, int], int] = {}
        for content, count in contents.items():
            sizes[content.height, content.width] = sizes.get((content.height, content.width), 0) + count
        return cls(sizes, any(content.colour for content in contents))

    @property
    def one_size(self) -> bool:
        """Whether all files have the same size."""
        return len(self.sizes) == 1

    @property
    def median(self) -> tuple[int, int]:
        """The median height and the median width: a single large file does not count."""
        return self._middle(0), self._middle(1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a median image as an array: (H, W), or (H, W, 3) if any file is in colour."""
        return (*self.median, 3) if self.colour else self.median

    def surprised_by(self, content: Content) -> bool:
        """Whether this file is the first with another size or the first in colour, which may change the decision."""
        other_size = self.one_size and (content.height, content.width) not in self.sizes
        return other_size or (content.colour and not self.colour)

    def plus(self, content: Content) -> "Headers":
        """The headers with one more file."""
        size = (content.height, content.width)
        return Headers({**self.sizes, size: self.sizes.get(size, 0) + 1}, self.colour or content.colour)

    def kept_by_crop(self, size: tuple[int, int]) -> float:
        """The share of a median file that the largest crop with these proportions keeps, 0 to 1: for half of the files,
        no more is kept.

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
