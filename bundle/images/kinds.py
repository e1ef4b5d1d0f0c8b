"""A file's kind, from its first bytes: the supported kinds, and the names of kinds that are often sent instead.

Reads only the start of a file, and ignores its name.
"""

import re
from typing import Literal

from vouch.bundle.errors import InvalidImage

Kind = Literal["PNG", "JPEG", "WEBP"]
"""The supported kinds, by Pillow's names."""
ENDINGS: dict[Kind, str] = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
DECODED = "PNG, JPEG or WebP"
"""The supported kinds, for messages."""

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
BEGINNING_BYTES = 1024
"""The first bytes of a file, which show its kind."""

BRANDS = {
    b"heic": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"heim": "a HEIC picture",
    b"heis": "a HEIC picture",
    b"hevc": "a HEIC picture",
    b"hevx": "a HEIC picture",
    b"mif1": "a HEIF picture",
    b"msf1": "a HEIF picture",
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture",
    b"crx ": "a camera's raw file (CR3)",
}
"""Brands of files in the ISO base media format; other brands are films."""
BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"II+\0", "a BigTIFF picture"),
    (b"MM\0+", "a BigTIFF picture"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"8BPS", "a Photoshop picture (PSD)"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"qoif", "a QOI picture"),
    (b"v/1\1", "an OpenEXR picture"),
    (b"DDS ", "a DDS picture"),
    (b"\x89NPG", "a damaged PNG picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\3\4", "a zip archive"),
    (b"PK\5\6", "a zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"\x1a\x45\xdf\xa3", "a film (Matroska or WebM)"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file; run git lfs pull"),
    (b"iVBORw0KGgo", "a PNG picture in base64; decode the base64 first"),
    (b"/9j/", "a JPEG picture in base64; decode the base64 first"),
    (b"data:image/", "a data URL; decode its base64 first"),
    (b"\x89PNG\n", "a PNG picture whose line ends were changed, as by a transfer as text"),
    (b"\x89PNG\r\r", "a PNG picture whose line ends were changed, as by a transfer as text"),
    (b"\xef\xbf\xbdPNG", "a PNG picture that was read as text and written again"),
    (b"\xc2\x89PNG", "a PNG picture that was read as text and written again"),
    (b"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", "a file that was read as text and written again, perhaps a picture"),
    (b"\xc3\xbf\xc3\x98", "a JPEG picture that was read as text and written again"),
)
BMP = b"BM"
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
"""Possible sizes of a BMP picture's header, which begins with its size."""
PNM = re.compile(rb"P[1-7fF]\s")
MARKUP: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"<(?:svg:)?svg[\s/>]", re.IGNORECASE), "an SVG drawing"),
    (
        re.compile(rb"<(?:!doctype html|html|head|body)[\s>]", re.IGNORECASE),
        "an HTML page, as a failed download is",
    ),
    (re.compile(rb"^<\?xml|^<[a-z!]", re.IGNORECASE), "XML"),
)
PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")
SHOWN_CHARACTERS = 40


def kind_of(encoded: bytes) -> Kind | None:
    """The supported kind; None for others."""
    if encoded.startswith(PNG):
        return "PNG"
    if encoded.startswith(JPEG):
        return "JPEG"
    return "WEBP" if encoded[:4] == b"RIFF" and encoded[8:12] == b"WEBP" else None


def is_bmp(encoded: bytes) -> bool:
    """Whether a file is a BMP picture; a text may begin with the same two letters."""
    return encoded.startswith(BMP) and int.from_bytes(encoded[14:18], "little") in BMP_HEADERS


def ending(encoded: bytes) -> str:
    """The suffix for a file with this content: png, jpg or webp.

    Raises:
        InvalidImage: another kind.
    """
    kind = kind_of(encoded)
    if kind is None:
        raise refusal(encoded)
    return ENDINGS[kind]


def refusal(encoded: bytes, expected: str = DECODED) -> InvalidImage:
    """The error for a file of another kind: what it is, and what was expected."""
    return InvalidImage(f"expected {expected}; found {found(encoded)}")


def found(encoded: bytes) -> str:
    """A file's kind, in words."""
    if not encoded:
        return "nothing: the file is empty"
    start = encoded[:BEGINNING_BYTES]
    for look in (_by_beginning, _by_box, _by_place, _by_text):
        if name := look(start):
            return name
    if not start.strip(b"\0"):
        return f"{len(encoded):,} bytes that begin with zeros, as after an incomplete copy"
    return f"{len(encoded):,} bytes that are not a picture of a known kind"


def _by_beginning(start: bytes) -> str:
    return next((name for beginning, name in BEGINNINGS if start.startswith(beginning)), "")


def _by_box(start: bytes) -> str:
    if start[4:8] != b"ftyp":
        return ""
    brands = [start[8:12], *(start[at : at + 4] for at in range(16, min(len(start), 64), 4))]
    return next((BRANDS[brand] for brand in brands if brand in BRANDS), "a film (MP4 or QuickTime)")


def _by_place(start: bytes) -> str:
    if start[:4] in (b"RIFF", b"RIFX"):
        return {b"AVI ": "a film (AVI)", b"WAVE": "a sound (WAV)"}.get(start[8:12], "a RIFF file of another kind")
    if is_bmp(start):
        return "a BMP picture"
    if start[128:132] == b"DICM":
        return "a DICOM file"
    if start[257:262] == b"ustar":
        return "a tar archive"
    return "a PNM picture" if PNM.match(start) else ""


def _by_text(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text or not PRINTABLE.fullmatch(text):
        return ""
    try:
        shown = text.decode("utf-8", "ignore" if len(start) == BEGINNING_BYTES else "strict")
    except UnicodeDecodeError:
        return ""
    if text.startswith(b"<"):
        return next((name for pattern, name in MARKUP if pattern.search(text)), "text")
    return f"text ({' '.join(shown.split())[:SHOWN_CHARACTERS]!r})"
