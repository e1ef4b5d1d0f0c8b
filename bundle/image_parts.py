"""The parts of a PNG or JPEG file that make its pixels, and from its headers alone what decoding them will cost.

The rest (colour profiles, previews, texts, camera notes) is cut out, because an image library reads it entry by entry:
5,000 packed colour profiles, 5 MB, hold it for over 10 s. Of the rest the orientation alone counts; it is read here.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from vouch.bundle.errors import InvalidImage

MAX_PIXELS = 64_000_000
"""Of an encoded image; a small file can claim to be enormous."""
MAX_SIDE = 65_535
"""Pixels; JPEG allows no more."""
MAX_SCANS = 100
"""Of a JPEG file. Most progressive ones have 10, and each goes over the whole picture."""
MAX_SCANNED_PIXELS = 10 * MAX_PIXELS
"""Pixels times scans."""
PIXEL_S, SCAN_S = 12e-9, 4e-9
"""Of a pixel in all steps, and in each scan; of 16-bit colour it is up to five times as much."""
MAX_TEXT_BYTES = 1_000_000
"""Of a compressed text, unpacked."""

PNG = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
PNG_SEVERAL = (2, 4, 6)
"""Kinds of colour that Pillow keeps in four channels."""
PNG_NOTED = (b"IHDR", b"acTL", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
JPEG = b"\xff\xd8"
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Not fill bytes, not restart markers, and not a 0xFF of the pixels, which a zero follows."""
STEP_BYTES = 1 << 20
"""How many bytes one search covers: it holds the interpreter's lock, and other threads wait."""
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
JPEG_KEPT = {*range(0xC0, 0xD0), 0xDB, 0xDD, 0xE0, 0xEE}
"""Frames, tables, restarts, and JFIF and Adobe, which say what the colours are."""
ALONE = {*range(0xC0), 0xD8, 0xD9}
"""Markers without a length. Those below 0xC0 mean nothing; a decoder that looks for a restart passes over them."""
SCAN, END = 0xDA, 0xD9
APP1 = 0xE1

EXIF = b"Exif\0\0"
EXIF_PROFILE = b"Raw profile type exif"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
PNG_XMP = b"XML:com.adobe.xmp"
ORIENTATION = 0x0112
UPRIGHT = 1
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Types of an EXIF entry that hold a whole number."""
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


@dataclass(frozen=True)
class ImageParts:
    """What is needed of an image file."""

    encoded: bytes
    """A file with the pixels and nothing else."""
    width: int
    height: int
    """As they are stored, before the picture is put upright."""
    scans: int
    """How many times a decoder goes over the picture."""
    orientation: int
    """As EXIF numbers it; 1: upright, 2 to 8: how it is mirrored and turned."""
    pixel_bytes: int
    """Of a pixel as it is decoded, the low bytes of 16-bit colour included."""
    scan_bytes: int = 0
    """Of a pixel while a progressive JPEG file is decoded, beside that."""

    @property
    def decode_s(self) -> float:
        """Roughly how long decoding takes on one core, in seconds."""
        return self.width * self.height * (PIXEL_S + SCAN_S * self.scans)


def image_parts(encoded: bytes) -> ImageParts:
    """The parts of a file that make its pixels.

    Raises:
        InvalidImage: neither PNG nor JPEG; cut off; animated; or its headers say that it costs too much: over 64
            million pixels, a side over 65,535, over 100 scans, over 10 scans of the largest picture, or over a
            thousand parts that are smaller than 1 KiB.
    """
    if encoded.startswith(PNG):
        parts = _Png(encoded).parts()
    elif encoded.startswith(JPEG):
        parts = _Jpeg(encoded).parts()
    else:
        raise InvalidImage(f"expected a PNG or JPEG image; these {len(encoded):,} bytes are not one")
    size = f"{parts.width:,} x {parts.height:,} pixels"
    if parts.width * parts.height > MAX_PIXELS:
        raise InvalidImage(f"the image has {size}; at most {MAX_PIXELS:,} are taken")
    if max(parts.width, parts.height) > MAX_SIDE:
        raise InvalidImage(f"the image has {size}; at most {MAX_SIDE:,} are taken on a side")
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // max(1, parts.width * parts.height))
    if parts.scans > most:
        raise InvalidImage(f"the image has {size} in {parts.scans:,} scans; at most {most:,} are taken of this size")
    return parts


class _File:
    """What has been found so far while a file is gone through."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._view = memoryview(encoded)
        self._kept: list[bytes | memoryview] = []
        self._size: tuple[int, int] | None = None
        self._exif: bytes | None = None
        self._xmp: bytes | None = None
        self._seen = 0

    def _count_part(self) -> None:
        self._seen += 1
        if self._seen > 1000 + len(self._encoded) // 1024:
            raise InvalidImage(f"the image has over {self._seen - 1:,} parts, which is too many for its bytes")

    def _parts(self, scans: int, pixel_bytes: int, scan_bytes: int = 0) -> ImageParts:
        if self._size is None:
            raise InvalidImage("the image is broken: it does not say its size")
        orientation = _exif_orientation((self._exif or b"").removeprefix(EXIF).removeprefix(EXIF))
        if orientation is None:
            orientation = _xmp_orientation(self._xmp or b"")
        return ImageParts(b"".join(self._kept), *self._size, scans, orientation, pixel_bytes, scan_bytes)


class _Png(_File):
    """A PNG file: chunks with a length and a name."""

    def parts(self) -> ImageParts:
        self._kept.append(PNG)
        self._pixel_bytes = 1
        at, name = len(PNG), b""
        while at + 8 <= len(self._encoded) and name != b"IEND":
            self._count_part()
            length, name = struct.unpack_from(">I4s", self._encoded, at)
            if at + 8 + length > len(self._encoded):
                raise InvalidImage("the image is truncated")
            if name in PNG_KEPT:
                self._kept.append(self._view[at : at + 12 + length])
            if name in PNG_NOTED:
                self._note(name, self._encoded[at + 8 : at + 8 + length])
            at += 12 + length
        return self._parts(1, self._pixel_bytes)

    def _note(self, name: bytes, content: bytes) -> None:
        if name == b"IHDR" and len(content) >= 10:
            width, height, bits, colour = struct.unpack_from(">IIBB", content)
            self._size = width, height
            self._pixel_bytes = 4 if colour in PNG_SEVERAL else 1
            if bits == 16:
                self._pixel_bytes *= 2
        elif name == b"acTL" and len(content) >= 8 and struct.unpack_from(">I", content)[0] > 1:
            raise InvalidImage("the image is animated; expected a single picture")
        elif name == b"eXIf":
            self._exif = content
        else:
            self._note_text(name, *content.partition(b"\0")[::2])

    def _note_text(self, name: bytes, keyword: bytes, content: bytes) -> None:
        if keyword == PNG_XMP and name == b"iTXt" and self._xmp is None:
            packed, text = content[:1] == b"\1", content[2:].split(b"\0", 2)[-1]
            self._xmp = _unpacked(text) if packed else text
        elif keyword == EXIF_PROFILE and self._exif is None:
            text = _unpacked(content[1:]) if name == b"zTXt" else content[:MAX_TEXT_BYTES]
            self._exif = _hex(text.split(b"\n", 3)[-1])


class _Jpeg(_File):
    """A JPEG file: segments that begin with a marker, and scans, up to the end of the first picture.

    Cameras put more behind it: previews, films.
    """

    def parts(self) -> ImageParts:
        self._kept.append(JPEG)
        self._channels, self._scan_bytes = 4, 8
        at, scans, first_scan = len(JPEG), 0, 0
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
                first_scan = first_scan or at - 2
                scans += 1
            elif not scans:
                self._segment(marker, at, end)
            at = end
        if not scans:
            raise InvalidImage("the image is truncated")
        self._kept.append(self._view[first_scan : at or len(self._encoded)])
        return self._parts(scans, 1 if self._channels == 1 else 4, self._scan_bytes)

    def _marker(self, at: int) -> int:
        """Behind the next one; 0: there is none."""
        for start in range(at, len(self._encoded), STEP_BYTES):
            if found := MARKER.search(self._encoded, start, start + STEP_BYTES + 1):
                return found.end()
        return 0

    def _segment(self, marker: int, at: int, end: int) -> None:
        if marker in JPEG_KEPT:
            self._kept.append(self._view[at - 2 : end])
        self._note(marker, self._encoded[at + 2 : end])

    def _note(self, marker: int, content: bytes) -> None:
        if marker in FRAMES and len(content) >= 5:
            height, width = struct.unpack_from(">HH", content, 1)
            self._size = width, height
            self._channels = content[5] if len(content) > 5 else 4
            samples = [(both >> 4) * (both & 15) for both in content[7 : 6 + 3 * self._channels : 3]]
            coefficients = -(-sum(samples) // (max(samples, default=0) or 1)) or self._channels
            self._scan_bytes = 2 * coefficients if marker in PROGRESSIVE else 0
        elif marker == APP1 and content.startswith(EXIF):
            self._exif = self._exif or content
        elif marker == APP1 and content.startswith(XMP):
            self._xmp = content


def _exif_orientation(tiff: bytes) -> int | None:
    """None: it says none, or is broken."""
    order = BYTE_ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    start = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return None
    entries = struct.unpack_from(f"{order}H", tiff, start)[0]
    whole = min(entries, (len(tiff) - start - 2) // 12)
    for entry in range(start + 2, start + 2 + 12 * whole, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, entry)
        if tag == ORIENTATION and count == 1 and kind in NUMBERS:
            number: int = struct.unpack_from(f"{order}{NUMBERS[kind]}", tiff, entry + 8)[0]
            return number
    return None


def _xmp_orientation(xmp: bytes) -> int:
    found = XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else UPRIGHT


def _unpacked(text: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(text, MAX_TEXT_BYTES)
    except zlib.error:
        return b""


def _hex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return b""
