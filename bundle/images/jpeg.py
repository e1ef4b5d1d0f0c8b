"""JPEG files: segments that begin with a marker, and scans, up to the end of the first picture.

Cameras append more: previews, films. JPEG has no checksums: damage in a readable file is not noticed.
"""

import re
import struct

from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.kinds import JPEG
from vouch.bundle.images.orientation import EXIF, exif_of
from vouch.bundle.images.parts import ImageParts, PartsReader

MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Markers except fill bytes, restart markers and 0xFF in pixels, which is followed by zero."""
STEP_BYTES = 1 << 20
"""Bytes per search: a search holds the interpreter's lock, so other threads wait."""
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
HIERARCHICAL = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}
TABLES = {0xC4, 0xC8, 0xCC, 0xDB, 0xDD}
"""Markers of code tables, quantisation tables and the restart interval."""
JFIF, ADOBE = b"JFIF\0", b"Adobe"
"""Prefixes of the application segments 0 and 14 that define the colours."""
APP0, APP1, APP14 = 0xE0, 0xE1, 0xEE
PLAIN_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
"""A JFIF segment without resolution and preview."""
ADOBE_BYTES = 12
"""Bytes of Adobe's segment; the last one defines the colours."""
IGNORED = {*range(0xE0, 0xF0), 0xFE}
"""Application segments and comments."""
ALONE = {*range(0xC0), 0xD8, 0xD9}
"""Markers without a length. Those below 0xC0 have no meaning; a decoder that searches for a restart skips them."""
SCAN, END = 0xDA, 0xD9
XMP = b"http://ns.adobe.com/xap/1.0/\0"
CHANNELS = (1, 3, 4)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The picture of `ImageParts.encoded` with an EXIF segment that has its orientation."""
    content = EXIF + exif_of(orientation)
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content
    start = len(JPEG) + (len(PLAIN_JFIF) if jpeg[len(JPEG) :].startswith(PLAIN_JFIF) else 0)
    return jpeg[:start] + segment + jpeg[start:]


class JpegReader(PartsReader):
    """A JPEG file, up to the end of its first picture. Raises InvalidImage."""

    def parts(self) -> ImageParts:
        """The needed parts."""
        self._kept.append(JPEG)
        self._channels, self._scan_bytes = 4, 8
        at, scans, taken = len(JPEG), 0, 0
        while (at := self._marker(at)) and not (scans and self._encoded[at - 1] == END):
            self._count_part()
            marker = self._encoded[at - 1]
            if marker in ALONE:
                continue
            end = at + max(2, int.from_bytes(self._encoded[at : at + 2]))
            if end > len(self._encoded):
                at = 0
                break
            if marker == SCAN:
                taken = taken or at - 2
                scans += 1
            elif not scans:
                self._segment(marker, at, end)
            elif marker in IGNORED:  # emptied and kept in place: it may end a scan
                self._kept += [self._view[taken:at], b"\0\2"]
                taken = end
            at = end
        if not scans:
            raise InvalidImage("the image is truncated")
        self._kept.append(self._view[taken : at or len(self._encoded)])
        width, height = self._known_size()
        pixel_bytes = 1 if self._channels == 1 else 4
        orientation = self._notes.orientation
        encoded = b"".join(self._kept)
        return ImageParts("JPEG", encoded, width, height, scans, orientation, pixel_bytes, self._scan_bytes)

    def _marker(self, at: int) -> int:
        """The position after the next marker; 0 without one."""
        for start in range(at, len(self._encoded), STEP_BYTES):
            if found := MARKER.search(self._encoded, start, start + STEP_BYTES + 1):
                return found.end()
        return 0

    def _segment(self, marker: int, at: int, end: int) -> None:
        """Reads a segment before the first scan."""
        content = self._view[at + 2 : end]
        if marker in FRAMES:
            self._frame(marker, bytes(content))
        if marker in FRAMES or marker in TABLES:
            self._kept.append(self._view[at - 2 : end])
        elif marker == APP0 and content[: len(JFIF)] == JFIF and len(content) >= len(PLAIN_JFIF) - 4:
            self._kept.append(PLAIN_JFIF)
        elif marker == APP14 and content[: len(ADOBE)] == ADOBE and len(content) >= ADOBE_BYTES:
            self._kept += [b"\xff\xee", struct.pack(">H", 2 + ADOBE_BYTES), content[:ADOBE_BYTES]]
        elif marker == APP1 and content[: len(EXIF)] == EXIF:
            self._notes.exif = self._notes.exif or bytes(content)
        elif marker == APP1 and content[: len(XMP)] == XMP:
            self._notes.xmp = bytes(content)

    def _frame(self, marker: int, content: bytes) -> None:
        if len(content) < 6:
            return
        bits, height, width, self._channels = struct.unpack_from(">BHHB", content)
        if marker in HIERARCHICAL:
            raise InvalidImage("the JPEG file is of the hierarchical kind, which is not decoded")
        if bits != 8:
            raise InvalidImage(f"the JPEG file has {bits} bits a sample; expected 8")
        if self._channels not in CHANNELS:
            raise InvalidImage(f"the JPEG file has {self._channels} channels; expected 1, 3 or 4")
        self._size = width, height
        samples = [(both >> 4) * (both & 15) for both in content[7 : 6 + 3 * self._channels : 3]]
        coefficients = -(-sum(samples) // (max(samples, default=0) or 1)) or self._channels
        self._scan_bytes = 2 * coefficients if marker in PROGRESSIVE else 0
