"""WebP files: chunks with a name and a length. One contains the picture, another may contain its alpha.

WebP has no checksums: damage in a readable file is not noticed. Pillow decodes it as a film with one picture: in one
step, onto two canvases of four channels, which it then copies.
"""

import struct

from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.orientation import exif_of
from vouch.bundle.images.parts import ImageParts, PartsReader

RIFF_BYTES = 12
"""Bytes before the first chunk."""
LOSSY, LOSSLESS, ALPHA, EXTENDED = b"VP8 ", b"VP8L", b"ALPH", b"VP8X"
ANIMATED = (b"ANIM", b"ANMF")
HAS_ALPHA, HAS_EXIF, IS_ANIMATED = 0x10, 0x08, 0x02
"""Flags in the first byte of `EXTENDED`."""
LOSSY_START, LOSSLESS_START = b"\x9d\x01\x2a", 0x2F
PIXEL_BYTES, COPY_BYTES, HELD_BYTES = 4, 4, 8
PIXEL_S = 40e-9
"""Measured on smooth pictures, 10 to 27; noise takes up to 64."""


def with_orientation(webp: bytes, orientation: int) -> bytes:
    """The picture of `ImageParts.encoded` with an EXIF chunk that has its orientation."""
    reader = WebpReader(webp)
    parts = reader.parts()
    return reader.file(HAS_EXIF, parts.width, parts.height, chunk(b"EXIF", exif_of(orientation)))


def chunk(name: bytes, content: bytes | memoryview) -> bytes:
    """A chunk, padded to an even number of bytes."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


class WebpReader(PartsReader):
    """A WebP file with one picture. Raises InvalidImage."""

    _canvas: tuple[int, int] | None = None
    _lossless = False
    _has_alpha = False
    _alpha: bytes = b""
    _picture: bytes = b""

    def parts(self) -> ImageParts:
        """The needed parts."""
        riff_bytes = 8 + int.from_bytes(self._encoded[4:8], "little")
        if riff_bytes > len(self._encoded) + 1:  # the last byte may be missing: it is only padding
            raise InvalidImage("the image is truncated")
        end, at = min(riff_bytes, len(self._encoded)), RIFF_BYTES
        while at + 8 <= end:
            self._count_part()
            name, length = struct.unpack_from("<4sI", self._encoded, at)
            if at + 8 + length > end:
                raise InvalidImage("the image is truncated")
            self._chunk(name, self._view[at + 8 : at + 8 + length])
            at += 8 + length + length % 2
        width, height = self._known_size()
        if self._canvas not in (None, (width, height)):
            raise InvalidImage("the image is broken: it has two different sizes")
        return ImageParts(
            "WEBP",
            self.file(0, width, height),
            width,
            height,
            scans=1,
            orientation=self._notes.orientation,
            pixel_bytes=PIXEL_BYTES,
            scan_bytes=COPY_BYTES,
            held_bytes=HELD_BYTES,
            pixel_s=PIXEL_S,
        )

    def file(self, flags: int, width: int, height: int, more: bytes = b"") -> bytes:
        """A file with the parts that make pixels, followed by more chunks."""
        flags |= HAS_ALPHA if self._has_alpha else 0
        content = self._picture
        if self._alpha or more:
            header = struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
            content = chunk(EXTENDED, header) + self._alpha + self._picture + more
        return b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content

    def _chunk(self, name: bytes, content: memoryview) -> None:
        if name in ANIMATED or (name == EXTENDED and content[:1] and content[0] & IS_ANIMATED):
            raise InvalidImage("the image is animated; expected a single picture")
        if name == EXTENDED and len(content) >= 10:
            self._canvas = _little(content[4:7]) + 1, _little(content[7:10]) + 1
        elif name in (LOSSY, LOSSLESS):
            if self._picture:
                raise InvalidImage("the WebP file is broken: it has two pictures")
            self._picture = chunk(name, content)
            (self._lossy if name == LOSSY else self._of_lossless)(content)
        elif name == ALPHA and not self._picture:
            self._alpha, self._has_alpha = chunk(name, content), True
        elif name == b"EXIF":
            self._notes.exif = self._notes.exif or bytes(content)
        elif name == b"XMP ":
            self._notes.xmp = self._notes.xmp or bytes(content)

    def _lossy(self, content: memoryview) -> None:
        if len(content) < 10 or content[3:6] != LOSSY_START or content[0] & 1:
            raise InvalidImage("the WebP file is broken: its picture has no header")
        width, height = struct.unpack_from("<HH", content, 6)
        self._size = width & 0x3FFF, height & 0x3FFF

    def _of_lossless(self, content: memoryview) -> None:
        if len(content) < 5 or content[0] != LOSSLESS_START:
            raise InvalidImage("the WebP file is broken: its picture has no header")
        bits = _little(content[1:5])
        self._size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        self._alpha, self._has_alpha = b"", bool(bits >> 28 & 1)  # the picture contains its alpha


def _little(content: memoryview) -> int:
    return int.from_bytes(content, "little")
