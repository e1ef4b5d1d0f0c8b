"""The needed parts of an image file: the bytes that make its pixels, its orientation, and the cost of decoding.

`PartsReader` is the base of the readers for each kind. A reader goes through a file's headers once and copies only what
makes pixels: an image library would read all other parts, and 5,000 compressed colour profiles (5 MB) take it over
10 s.
"""

from dataclasses import dataclass

from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.kinds import Kind
from vouch.bundle.images.orientation import Notes

PIXEL_S, SCAN_S = 12e-9, 4e-9
"""Time per pixel in all steps, and in each scan; up to five times as much for 16-bit colour."""


@dataclass(frozen=True)
class ImageParts:
    """The needed parts of an image file."""

    kind: Kind
    encoded: bytes
    """A file with only the pixels."""
    width: int
    height: int
    """As stored, before the picture is rotated upright."""
    scans: int
    """The number of passes of a decoder over the picture."""
    orientation: int
    """EXIF's number: 1 is upright, 2 to 8 are mirrored or rotated."""
    pixel_bytes: int
    """Bytes per pixel when decoded, including the low bytes of 16-bit colour."""
    scan_bytes: int = 0
    """Additional bytes per pixel while a progressive JPEG file or a WebP file is decoded."""
    held_bytes: int = 0
    """Bytes per pixel that the decoder keeps until all steps are done."""
    pixel_s: float = PIXEL_S
    """Time per pixel in all steps except scans."""

    @property
    def decode_s(self) -> float:
        """Estimated time of decoding on one core, in seconds."""
        return self.width * self.height * (self.pixel_s + SCAN_S * self.scans)


class PartsReader:
    """The parts found so far while reading a file."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._view = memoryview(encoded)
        self._kept: list[bytes | memoryview] = []
        self._size: tuple[int, int] | None = None
        self._notes = Notes()
        self._seen = 0

    def _count_part(self) -> None:
        self._seen += 1
        if self._seen > 1000 + len(self._encoded) // 1024:
            raise InvalidImage(f"the image has over {self._seen - 1:,} parts, which is too many for its bytes")

    def _known_size(self) -> tuple[int, int]:
        if self._size is None:
            raise InvalidImage("the image is broken: its size is missing")
        return self._size
