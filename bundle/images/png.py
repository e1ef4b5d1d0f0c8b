"""PNG files: chunks with a length, a name and a checksum.

IHDR, PLTE, tRNS and IDAT make the pixels; their checksums are checked, so that damage is not decoded. A damaged chunk
of another kind is left out like an intact one, unless it may have been one of these.
"""

import struct
import zlib

from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.kinds import PNG
from vouch.bundle.images.orientation import TURNED, Notes, exif_of
from vouch.bundle.images.parts import ImageParts, PartsReader

CHUNK_BYTES = 12
"""Bytes of a chunk without content: length, name, checksum."""
MAKE_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
COUNT = (*MAKE_PIXELS, b"eXIf")
NOTED = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
END = b"IEND"
BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type -> possible bits per sample."""
PALETTE = 3
SEVERAL = (2, 4, 6)
"""Colour types that Pillow stores in four channels."""
CHANNELS = {0: 1, 2: 3, PALETTE: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an interlaced file: its first column and row, and the steps to the next."""
STEP_BYTES, UNPACKED_BYTES = 1 << 14, 1 << 20
"""Bytes that are decompressed at a time, before and after."""
KEY_BYTES = {0: 2, 2: 6, PALETTE: 1}
"""Colour type -> needed bytes of tRNS. The others have alpha, and no tRNS."""
EXIF_PROFILE = b"Raw profile type exif"
XMP = b"XML:com.adobe.xmp"
MAX_TEXT_BYTES = 1_000_000
"""Limit for a decompressed text."""


def with_orientation(png: bytes, orientation: int) -> bytes:
    """The picture of `ImageParts.encoded` with an eXIf chunk that has its orientation."""
    behind_header = len(PNG) + CHUNK_BYTES + 13
    return png[:behind_header] + chunk(b"eXIf", exif_of(orientation)) + png[behind_header:]


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))


def has_all_rows(png: bytes) -> bool:
    """Whether the pixels of `ImageParts.encoded` decompress to the size in its header; reads all of them."""
    width, height, bits, colour, *_, interlace = struct.unpack_from(">II5B", png, len(PNG) + 8)
    passes = ADAM7 if interlace else ((0, 0, 1, 1),)
    lacking: int = sum(
        rows * (1 + (columns * bits * CHANNELS[colour] + 7) // 8)
        for left, top, across, down in passes
        if (columns := -(-(width - left) // across)) > 0 and (rows := -(-(height - top) // down)) > 0
    )
    unpacker = zlib.decompressobj()
    at, view = len(PNG), memoryview(png)
    while at + CHUNK_BYTES <= len(png) and lacking > 0 and not unpacker.eof:
        length, name = struct.unpack_from(">I4s", png, at)
        for start in range(at + 8, at + 8 + length, STEP_BYTES) if name == b"IDAT" else ():
            piece: bytes | memoryview = view[start : min(start + STEP_BYTES, at + 8 + length)]
            while piece and lacking > 0:
                lacking -= len(unpacker.decompress(piece, UNPACKED_BYTES))
                piece = unpacker.unconsumed_tail
        at += CHUNK_BYTES + length
    return lacking <= 0


class PngReader(PartsReader):
    """A PNG file, from its first chunk to its last. Raises InvalidImage."""

    _colour = -1
    _bits = 0
    _has_palette = False
    _frames = 1
    _has_frames = False

    def parts(self) -> ImageParts:
        """The needed parts."""
        self._kept.append(PNG)
        at = len(PNG)
        while at + 8 <= len(self._encoded):
            self._count_part()
            length, name = struct.unpack_from(">I4s", self._encoded, at)
            if not name.isalpha():
                raise InvalidImage("the PNG file is broken: a chunk has no name")
            if name == END:
                self._check_end(at, length)
                break
            if at + CHUNK_BYTES + length > len(self._encoded):
                raise InvalidImage("the image is truncated")
            self._chunk(name, at, length)
            at += CHUNK_BYTES + length
        if self._has_frames and self._frames > 1:
            raise InvalidImage("the image is animated; expected a single picture")
        self._kept.append(chunk(END, b""))
        pixel_bytes = (4 if self._colour in SEVERAL else 1) * (2 if self._bits == 16 else 1)
        width, height = self._known_size()
        return ImageParts("PNG", b"".join(self._kept), width, height, 1, self._notes.orientation, pixel_bytes)

    def _chunk(self, name: bytes, at: int, length: int) -> None:
        whole = self._is_whole(name, at, length)
        if name in MAKE_PIXELS:
            if not whole:
                raise InvalidImage(f"the PNG file is damaged: the checksum of its {name.decode()} chunk is wrong")
            self._keep(name, at, length)
        elif name[:1].isupper():
            raise InvalidImage(_unknown(name))
        elif name == b"acTL" and length >= 8:
            self._frames = int.from_bytes(self._view[at + 8 : at + 12])
        elif name == b"fdAT":
            self._has_frames = True
        elif not whole:
            self._check_damaged(name, at, length)
        elif name in NOTED:
            _note(self._notes, name, self._encoded[at + 8 : at + 8 + length])

    def _is_whole(self, name: bytes, at: int, length: int) -> bool:
        """Whether the chunk's checksum is right under this name."""
        end = at + 8 + length
        checksum = int.from_bytes(self._view[end : end + 4])
        return zlib.crc32(self._view[at + 8 : end], zlib.crc32(name)) == checksum

    def _keep(self, name: bytes, at: int, length: int) -> None:
        content = self._view[at + 8 : at + 8 + length]
        if (name == b"IHDR") == (self._size is not None):
            raise InvalidImage("the PNG file is broken: expected one IHDR chunk, before all others")
        if name == b"IHDR":
            self._header(content)
        elif name == b"PLTE":
            if self._colour != PALETTE:
                return  # a suggestion for screens of few colours
            self._has_palette = True
        elif name == b"IDAT" and self._colour == PALETTE and not self._has_palette:
            raise InvalidImage("the PNG file is broken: its PLTE chunk, which defines its colours, is missing")
        elif name == b"tRNS":
            if self._colour not in KEY_BYTES:
                return
            if length < KEY_BYTES[self._colour]:
                raise InvalidImage(
                    f"the PNG file is broken: its tRNS chunk, which defines transparency, has {length} bytes; "
                    f"expected {KEY_BYTES[self._colour]}"
                )
        self._kept.append(self._view[at : at + CHUNK_BYTES + length])

    def _header(self, content: memoryview) -> None:
        if len(content) != 13:
            raise InvalidImage(f"the PNG file is broken: its IHDR chunk has {len(content):,} bytes; expected 13")
        width, height, bits, colour = struct.unpack_from(">IIBB", content)
        if bits not in BITS.get(colour, ()):
            raise InvalidImage(f"the PNG file is broken: it has {bits} bits and colour type {colour}")
        self._size, self._bits, self._colour = (width, height), bits, colour

    def _check_end(self, at: int, length: int) -> None:
        """The last chunk. It may be truncated, because it has no content."""
        if at + CHUNK_BYTES <= len(self._encoded) and (length or not self._is_whole(END, at, 0)):
            raise InvalidImage("the PNG file is damaged: the checksum of its IEND chunk is wrong")

    def _check_damaged(self, name: bytes, at: int, length: int) -> None:
        """Raises if a chunk with a wrong checksum, which is left out, may change the picture."""
        content = self._encoded[at + 8 : at + CHUNK_BYTES + length]
        hidden = [other for other in COUNT if self._is_whole(other, at, length) or other in content]
        notes = Notes()
        if name in NOTED:
            _note(notes, name, content[:length])
        if hidden or notes.orientation in TURNED:
            what = f"may be or hide its {hidden[0].decode()} chunk" if hidden else "has the picture's orientation"
            raise InvalidImage(
                f"the PNG file is damaged: the checksum of a {name.decode()} chunk is wrong, which {what}"
            )


def _note(notes: Notes, name: bytes, content: bytes) -> None:
    if name == b"eXIf":
        notes.exif = content
    else:
        _note_text(notes, name, *content.partition(b"\0")[::2])


def _note_text(notes: Notes, name: bytes, keyword: bytes, content: bytes) -> None:
    if keyword == XMP and name == b"iTXt" and notes.xmp is None:
        packed, text = content[:1] == b"\1", content[2:].split(b"\0", 2)[-1]
        notes.xmp = _unpacked(text) if packed else text
    elif keyword == EXIF_PROFILE and notes.exif is None:
        text = _unpacked(content[1:]) if name == b"zTXt" else content[:MAX_TEXT_BYTES]
        notes.exif = _hex(text.split(b"\n", 3)[-1])


def _unknown(name: bytes) -> str:
    if name == b"CgBI":
        return "the PNG file has Apple's own format (CgBI), which few programs read; export it again"
    return f"the PNG file requires its {name.decode()} chunk, which is not in any PNG standard"


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
